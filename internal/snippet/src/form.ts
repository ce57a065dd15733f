// Finding a form and reading what was entered in it.

import { Args, FieldMap, Target } from './avow';
import { Doubt, doubtsOf } from './doubt';

export type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

const isElement = (x: any): x is Element => x?.nodeType === 1;

/** The element a page means, or null. */
export function find(target: Target): Element | null {
  if (typeof target === 'string') {
    try {
      return document.getElementById(target) || document.querySelector(target);
    } catch {
      return null; // not a selector either
    }
  }
  const element = unwrap(target);
  return isElement(element) ? element : null;
}

/** What identifies a target without looking it up: the element inside a jQuery-like list, else the target. */
export function unwrap(target: any): unknown {
  return target && !isElement(target) && isElement(target[0]) ? target[0] : target;
}

/** `form` may be a description with a selector, or the form itself. */
export function formTarget(form: Args['form']): Target {
  const given: any = unwrap(form);
  return given && typeof given === 'object' && !isElement(given) ? unwrap(given.selector) as Target : given;
}

// Fields that were a password before a "show" button made plain text of them stay secret.
const secrets = new WeakSet<Element>();

export function rememberPasswords(): void {
  document.querySelectorAll('[type=password]').forEach(e => secrets.add(e));
}

export const isSecret = (e: Element): boolean => secrets.has(e);

/** Tells the names that are in a list; cheaper than a pattern that has to be compiled first. */
export function oneOf(names: string): (name: string) => boolean {
  const list = names.split(' ');
  return name => list.includes(name);
}

const isUnreadable = oneOf('password file submit button image reset fieldset output');
/** Of `autocomplete` and name: cards, one-time codes, passwords, captcha answers, tokens against forgery. */
const SENSITIVE = /\bcc-|passw|c(ard|c).?num|captcha|turnstile|[cx]srf|cvc|cvv|(\b|_)(one.?time|t?otp|pin(\b|_))/i;
/** What has nothing typed in it, and so no secret, whatever its name says: a tick must not get lost. */
export const isChoice = oneOf('checkbox radio');

const nameOf = (f: Field): string => f.name || f.id;

export const isCapturable = (f: Field): boolean =>
  isChoice(f.type) || !(isUnreadable(f.type) || SENSITIVE.test(f.autocomplete + ' ' + nameOf(f)) || isSecret(f));

/** The fields of a form, or of any element, that may be read at all. */
export function fieldsOf(root: Element): Field[] {
  rememberPasswords();
  const own = (root as HTMLFormElement).elements as any;
  // A field named "elements" hides the form's own list.
  const all: ArrayLike<Element> = own && !own.nodeType ? own : root.querySelectorAll('input,select,textarea');
  return (Array.from(all) as Field[]).filter(isCapturable);
}

/**
 * The fields of a name. Forms often put a hidden "0" or blank beside what the person saw, so that "no" is sent too: it
 * is left out.
 */
function named(fields: Field[], name: string): Field[] {
  const found = fields.filter(f => f.name === name);
  const all = found[0] ? found : fields.filter(f => f.id === name);
  const seen = all.filter(f => f.type !== 'hidden');
  return seen[0] ? seen : all;
}

const each = <V>(map: Record<string, V>, use: (key: string, value: V) => void): void =>
  Object.keys(map).forEach(key => use(key, map[key]));

/** The groups that an attribute and a map name; what the map says wins. */
function groups(fields: Field[], attribute: string, map: Record<string, string> = {}): Record<string, Field[]> {
  const found: Record<string, Field[]> = {};
  fields.forEach(f => {
    const key = f.getAttribute('data-cons-' + attribute);
    // Check boxes of one name are a question each.
    if (key) found[key] ||= f.name && !isBox(f) ? named(fields, f.name) : [f];
  });
  each(map, (key, name) => {
    const group = named(fields, name);
    if (group[0]) found[key] = group;
  });
  return found;
}

const isChecked = (f: Field): boolean => (f as HTMLInputElement).checked;

const isBox = (f: Field): boolean => f.type === 'checkbox';

function value(f: Field): unknown {
  if (isBox(f)) return isChecked(f);
  return f.type === 'select-multiple' ? Array.from((f as HTMLSelectElement).selectedOptions, o => o.value) : f.value;
}

/** The field that answers for a group; none while no radio button of it is chosen. */
const speaker = (group: Field[]): Field | undefined =>
  group.find(isBox) || (group[0].type === 'radio' ? group.find(isChecked) : group[0]);

/** The one value a group of fields under one name stands for; undefined when nothing was chosen. */
function answer(group: Field[]): unknown {
  const f = speaker(group);
  return f && value(f);
}

/** Everything a group says: all ticked choices, all texts. */
function entered(group: Field[]): unknown {
  const boxes = group.filter(isBox);
  if (boxes[1]) return boxes.filter(isChecked).map(b => b.value);
  return group[1] && group[0].type !== 'radio' ? group.map(value) : answer(group);
}

export interface Reading {
  subject: Record<string, unknown>;
  preferences: Record<string, unknown>;
  /** What was entered, without excluded fields and without hidden ones that nothing maps. */
  content: Record<string, unknown>;
  /** Preferences whose tick may be nobody's act. */
  doubts: { [doubt in Doubt]?: string[] };
}

export function readForm(root: Element, map: FieldMap): Reading {
  const fields = fieldsOf(root);
  const reading: Reading = { subject: {}, preferences: {}, content: {}, doubts: {} };
  const listed = (names: string[] = []) => new Set(names.flatMap(name => named(fields, name)));
  const excluded = listed(map.exclude);
  const kept = listed(map.include);
  const take = (group: Field[]) => {
    group.forEach(f => kept.add(f));
    return answer(group);
  };
  each(groups(fields, 'subject', map.subject), (key, group) => {
    const value = take(group);
    if (value !== '') reading.subject[key] = value;
  });
  each(groups(fields, 'preference', map.preferences), (key, group) => {
    reading.preferences[key] = take(group);
    doubtsOf(speaker(group) as HTMLInputElement | undefined).forEach(doubt => (reading.doubts[doubt] ||= []).push(key));
  });

  const shown: Record<string, Field[]> = {};
  fields.forEach(f => {
    if (excluded.has(f) || f.hasAttribute('data-cons-exclude') || !nameOf(f)) return;
    if (kept.has(f) || (!map.include && f.type !== 'hidden')) (shown[nameOf(f)] ||= []).push(f);
  });
  each(shown, (key, group) => (reading.content[key] = entered(group)));
  return reading;
}
