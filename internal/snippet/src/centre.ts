// The preference centre: what a person has said yes and no to, and the switches to say otherwise.

import { Choices, Preference, PreferenceOptions, PreferenceTexts } from './avow';
import { Answer, ask, Fault, faultOf, passing } from './ask';
import { announce } from './choices';
import { ERROR, guarded, log } from './log';
import { button, form, make, named } from './make';
import { Row } from './row';
import { uuid7 } from './uuid';
import { spoken, wordsOf } from './words';

/** The answer of the API to what a person has said. */
interface View {
  purposes_version: string;
  preferences: Preference[];
}

/** No choices yet. A preference may have any name, also that of something which objects have by nature. */
const none = (): Choices => Object.create(null);

export class Centre {
  readonly element = make('div', 'preferences');
  private readonly body = make('div', 'body');
  // Both are on the page, empty, before anything is said in them: only then is every reader sure to read it out.
  private readonly problem = make('p', 'problem');
  private readonly status = make('p', 'status');

  private readonly words: PreferenceTexts;
  private rows: Row[] = [];
  private version = '';
  private isBusy = false;
  /** A save that nobody has heard the answer of: the same choices again are the same request. */
  private unheard = { body: '', id: '' };
  /** The server's clock minus this device's, in ms, once the latter was refused. */
  private skew = 0;

  constructor(
    private readonly options: PreferenceOptions,
    private readonly base: string,
    private readonly language: string,
  ) {
    this.words = wordsOf(language, options.texts);
    this.element.lang = options.texts ? language : spoken(language);
    this.body.tabIndex = -1;
    this.problem.setAttribute('role', 'alert');
    this.status.setAttribute('role', 'status');
    this.element.append(this.body, this.problem, this.status);
  }

  start(): void {
    if (this.options.subject_token) this.load();
    else this.offerLink();
  }

  private async load(said = ''): Promise<void> {
    this.say(this.words.loading);
    const answer = await this.post('/show', {});
    const fault = this.fault(answer);
    if (!fault) {
      this.choose(answer.data);
      this.say('', said);
    } else if (passing.includes(fault)) {
      this.show(button('again', this.words.again, 'button', () => this.load()), true);
    }
  }

  /** Lets the person choose. */
  private choose({ preferences, purposes_version }: View): void {
    // A date is part of a sentence, and in its language.
    const { lang } = this.element;
    const dates = new Intl.DateTimeFormat(this.language.startsWith(lang) ? this.language : lang, { dateStyle: 'long' });
    this.version = purposes_version;
    this.rows = preferences.map(p => new Row(p, this.words, dates, this.language, () => this.say(this.words.unsaved)));
    const list = make('fieldset', 'choices', make('legend', 'legend', this.words.legend), ...this.rows.map(r => r.element));
    if (!this.rows.length) list.append(make('p', 'none', this.words.none));
    const content = form(() => this.save(row => row.moved), list);
    if (this.rows.some(row => row.box)) {
      content.append(
        make(
          'div',
          'actions',
          button('save', this.words.save, 'submit'),
          ' ',
          button('refuse', this.words.refuse, 'button', () => this.refuse()),
        ),
      );
    }
    this.show(content);
  }

  private refuse(): void {
    if (this.isBusy) return;
    this.rows.forEach(({ box }) => box && (box.checked = false));
    this.save(() => true);
  }

  /** Records what the switches of some rows say. */
  private async save(which: (row: Row) => boolean): Promise<void> {
    const sent = this.rows.filter(row => row.box && which(row));
    if (this.isBusy) return;
    if (!sent.length) return this.say(this.words.unchanged);
    const choices = none();
    sent.forEach(row => {
      choices[row.preference.key] = row.box!.checked;
      row.moved = false;
    });
    this.say(this.words.saving);
    this.isBusy = true;
    const answer = await this.send(choices);
    this.isBusy = false;
    const fault = this.fault(answer);
    if (!fault) return this.saved(choices, answer.data);
    sent.forEach(row => (row.moved = true));
    if (fault === 'changed') this.load(this.words.changed);
  }

  private async send(choices: Choices, again = false): Promise<Answer> {
    const { legal_notices } = this.options;
    const fields = { preferences: choices, purposes_version: this.version, legal_notices };
    const body = JSON.stringify(fields);
    if (this.unheard.body !== body) this.unheard = { body, id: uuid7(Date.now() + this.skew) };
    const answer = await this.post('', fields, this.unheard.id);
    if (answer.status && answer.status < 500) this.unheard.body = '';
    // Nothing was stored: the id with a time of the server's takes its place, once.
    if (again || answer.data.code !== 'clock') return answer;
    this.skew = Date.parse(answer.data.server_time) - Date.now();
    return this.send(choices, true);
  }

  /** Shows, says and tells what is on record now. */
  private saved(choices: Choices, view: View): void {
    const { preferences } = view;
    const same = view.purposes_version === this.version && preferences.length === this.rows.length;
    if (same) preferences.forEach((p, i) => this.rows[i].update(p));
    else this.choose(view);

    const outcome = none();
    preferences.forEach(({ key, granted }) => key in choices && (outcome[key] = granted));
    const wanted = Object.values(choices).filter(Boolean).length;
    const counts = this.words.saved.replace('{yes}', '' + wanted).replace('{no}', '' + (Object.keys(choices).length - wanted));
    const more = this.rows.some(row => row.moved) ? ' ' + this.words.unsaved : '';
    this.say((Object.keys(choices).some(key => choices[key] && !outcome[key]) ? this.words.waiting : counts) + more);
    announce(outcome);
    guarded(() => this.options.change?.(outcome))();
  }

  /** Asks for the mailed link. */
  private offerLink(below = false): void {
    const { words } = this;
    const email = named(make('input', 'email'));
    email.type = 'email';
    email.autocomplete = 'email';
    email.required = true;
    const label = make('label', 'label', words.email);
    label.htmlFor = email.id;
    const wrong = named(make('p', 'wrong'));
    email.setAttribute('aria-describedby', wrong.id);
    const mark = (isWrong: boolean): void => {
      wrong.textContent = isWrong ? words.email_wrong : '';
      email.setAttribute('aria-invalid', '' + isWrong);
      if (!isWrong) return;
      this.say('');
      email.focus();
    };
    const submit = async (): Promise<void> => {
      if (this.isBusy) return;
      mark(!email.checkValidity());
      if (wrong.textContent) return;
      this.say(words.sending);
      this.isBusy = true;
      const answer = await this.post('/link', { email: email.value });
      this.isBusy = false;
      if (answer.status === 400) mark(true);
      else if (!this.fault(answer)) this.say(words.sent);
    };
    this.show(
      form(
        submit,
        make(
          'fieldset',
          'link',
          make('legend', 'legend', words.link_legend),
          make('p', 'intro', words.link_intro),
          label,
          email,
          wrong,
        ),
        make('div', 'actions', button('send', words.send, 'submit')),
      ),
      below,
    );
  }

  private post(path: string, fields: object, id?: string): Promise<Answer> {
    const { api_key, subject_id, subject_token } = this.options;
    const who = path === '/link' ? {} : { subject_id, subject_token };
    return ask(this.base + '/public/preferences' + path, api_key, JSON.stringify({ ...who, language: this.language, ...fields }), id);
  }

  /** Says what went wrong, and what to do about it; undefined when nothing did. */
  private fault(answer: Answer): Fault | undefined {
    const fault = faultOf(answer);
    if (!fault) return;
    const { message, errors } = answer.data;
    if (fault === 'broken') log(ERROR, `preferences: ${answer.status} ${message} ${JSON.stringify(errors || [])}`);
    if (fault === 'lapsed_session') this.offerLink(true);
    this.say('', this.words[fault]);
    return fault;
  }

  private say(status: string, problem = ''): void {
    if (this.status.textContent !== status) this.status.textContent = status;
    if (this.problem.textContent !== problem) this.problem.textContent = problem;
  }

  /**
   * Changes what is on the page, above what is said or below: a way out comes after the word why it is needed. Whoever
   * was in it with the keyboard stays in it.
   */
  private show(content: Node, below = false): void {
    const { body, element } = this;
    const wasIn = body.contains((body.getRootNode() as Document).activeElement);
    body.textContent = '';
    body.append(content);
    if (below) element.append(body);
    else element.prepend(body);
    if (wasIn) body.focus();
  }
}
