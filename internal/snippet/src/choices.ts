// What the person chose last on this site, for the gates. The record is the server's; this is only what the browser
// needs to know, and the last act counts, whichever script it was made with.

import { Choices } from './avow';
import { own } from './own';

const NAME = 'avow.choices';
/** After half a year nothing is taken for granted any more, and nothing for refused. */
const LIFETIME_MS = 182 * 86400000;

/** Of each preference the time of the act in ms; negative for a no. */
type Kept = Record<string, number>;

/** What this page has heard. */
const heard = (): Kept => (own().choices ||= {});

/** What every page of the site is to know. */
function stored(): Kept {
  try {
    return { ...JSON.parse(localStorage.getItem(NAME)!) };
  } catch {
    return {}; // no storage, or somebody else's text
  }
}

function update(choices: Choices, change: (kept: Kept, key: string) => void): void {
  const kept = stored();
  Object.keys(choices).forEach(key => change(kept, key));
  try {
    localStorage.setItem(NAME, JSON.stringify(kept));
  } catch {
    // this page has heard it
  }
}

/** What was chosen and still counts. */
export function recall(): Choices {
  const choices: Choices = {}, latest: Kept = {};
  [stored(), heard()].forEach(kept =>
    Object.keys(kept).forEach(key => {
      const at = Math.abs(kept[key]);
      if (Date.now() - at < LIFETIME_MS && !(at < latest[key])) {
        latest[key] = at;
        choices[key] = kept[key] > 0;
      }
    }),
  );
  return choices;
}

/** Takes note for this page; only true is a yes. */
function hear(choices: Choices): void {
  Object.keys(choices).forEach(key => (heard()[key] = choices[key] === true ? Date.now() : -Date.now()));
}

function tell(preferences: Choices): void {
  hear(preferences);
  dispatchEvent(new CustomEvent('avow:preferences', { detail: { preferences } }));
}

/** Keeps an act and tells the page of it. */
export function announce(choices: Choices): void {
  tell(choices);
  update(choices, (kept, key) => (kept[key] = heard()[key]));
}

/**
 * The same for a banner that has a memory of its own: of a yes, only that banner knows, on each page, whether it still
 * holds.
 */
export function relay(choices: Choices): void {
  tell(choices);
  update(choices, (kept, key) => (choices[key] ? delete kept[key] : (kept[key] = -Date.now())));
}

/** Takes up what a banner's own memory says of earlier visits; what is known here was said later. */
export const restore = (choices: Choices): void => tell({ ...choices, ...recall() });

/** The banner asks anew: what it asks about is open again. */
export function forget(choices: Choices): void {
  update(choices, (kept, key) => {
    delete kept[key];
    delete heard()[key];
  });
}

/** Listens to every change of what was chosen: on this page, in another tab, or while this page was put aside. */
export function onChoices(listener: () => void): void {
  addEventListener('avow:preferences', e => {
    const told: Choices = (e as CustomEvent).detail?.preferences || {};
    // Somebody else's no is kept; a yes is theirs to say again on the next page.
    update(told, (kept, key) => {
      if (told[key] !== true && !(heard()[key] < 0)) kept[key] = -Date.now();
    });
    hear(told);
    listener();
  });
  addEventListener('storage', e => e.key === NAME && listener());
  addEventListener('pageshow', listener);
}
