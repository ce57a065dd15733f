// One preference as a person sees it.

import { Preference, PreferenceTexts } from './avow';
import { make, named } from './make';

/** Writes what is on record about a preference, and since when. */
export class Row {
  readonly element: HTMLElement;
  /** The switch; none for what cannot be switched. */
  readonly box?: HTMLInputElement;
  /** Whether the person has moved the switch since it was last sent. */
  moved = false;
  private readonly state = named(make('p', 'state'));

  constructor(
    readonly preference: Preference,
    private readonly words: PreferenceTexts,
    private readonly dates: Intl.DateTimeFormat,
    language: string,
    moved: () => void,
  ) {
    const { purpose, changeable } = preference;
    this.element = make('div', 'preference');
    if (changeable) {
      const box = (this.box = named(make('input', 'switch')));
      box.type = 'checkbox';
      box.setAttribute('role', 'switch');
      box.setAttribute('aria-describedby', this.state.id);
      box.addEventListener('change', () => {
        this.moved = true;
        moved();
      });
      const label = make('label', 'purpose', purpose);
      label.htmlFor = box.id;
      label.lang = language;
      this.element.append(box, ' ', label);
    } else {
      const text = make('p', 'purpose', purpose);
      text.lang = language;
      this.element.append(text);
    }
    this.element.append(this.state);
    this.update(preference);
  }

  /** Shows what the ledger holds now; a switch that was moved stays where it is. */
  update(preference: Preference): void {
    const { granted, since, expires_at } = preference;
    if (this.box && !this.moved) this.box.checked = granted;
    this.state.textContent = this.words[reasonOf(preference)] || preference.reason;
    if (since) this.state.append(` ${this.words.recorded} `, this.date(since));
    if (since && expires_at) this.state.append(`, ${this.words.until} `, this.date(expires_at));
    if (since) this.state.append('.');
  }

  private date(at: string): HTMLElement {
    const element = make('time', 'date', this.dates.format(new Date(at)));
    element.dateTime = at;
    return element;
  }
}

function reasonOf({ changeable, granted, legal_basis, reason }: Preference): keyof PreferenceTexts {
  if (granted && !changeable) return legal_basis as keyof PreferenceTexts;
  if (!granted || reason !== 'never_asked') return reason as keyof PreferenceTexts;
  return legal_basis === 'public_task' ? legal_basis : 'presumed';
}
