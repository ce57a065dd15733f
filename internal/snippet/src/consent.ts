// From an act on the page to one consent.

import { Act, newAct } from './act';
import { Args, Body, Callbacks, Chain, FieldMap, Options, Proof } from './avow';
import { find, formTarget, readForm } from './form';
import { log, WARN } from './log';
import { markup } from './markup';
import { add } from './outbox';
import { stamp } from './post';

const enum Limit {
  /** The same form with the same values within this time is the same act (double click, click and submit). */
  SAME_ACT_MS = 2000,
}

let settings: Partial<Options> = {};

export function configure(options: Options): void {
  settings = options;
}

/** Copies what is stated over what was read; undefined, which JSON leaves out, states nothing. */
const merged = <T extends object>(read: T, stated?: object): T => ({ ...read, ...(stated && JSON.parse(JSON.stringify(stated))) });

function readInto(body: Body, root: Element, map: FieldMap): void {
  const { subject, preferences, content, doubts } = readForm(root, map);
  const doubtful = Object.values(doubts).flat();
  if (doubtful[0]) log(WARN, 'doubtful: ' + doubtful);
  // Where and in which language the form was shown, and what is doubtful.
  content._avow = {
    language: root.closest<HTMLElement>('[lang]')?.lang,
    url: settings.page_url ? location.origin + location.pathname : undefined,
    title: settings.page_title ? document.title : undefined,
    ...doubts,
  };
  body.subject = merged(subject, body.subject);
  body.preferences = merged(preferences, body.preferences);
  if (settings.doubtful === 'omit') doubtful.forEach(key => delete body.preferences![key]);
  const [proof, ...others] = body.proofs || [];
  body.proofs = [merged({ content: JSON.stringify(content), form: markup(root) } as Proof, proof), ...others];
}

let recent: { values: string; at: number; act: Act }[] = [];

/**
 * Reads form and page now, and returns what sends the consent; if the same act has just been sent, that one's outcome
 * is this one's too. Throws if a form was named that is not there: a consent without its proof is none.
 */
export function take(args: Args): (callbacks?: Callbacks) => Chain {
  const stated: Body = args.consent || {};
  const body = merged({ autodetect_ip_address: !!settings.autodetect_ip_address } as Body, { ...stated, timestamp: undefined });
  const root = find(formTarget(args.form));
  if (args.form && !root) throw new Error('form not found');
  if (root) readInto(body, root, (args.form as any).map || {});
  if ((navigator as any).globalPrivacyControl === true) body.gpc = true;
  const at = Date.now();
  return callbacks => {
    // The form's proof is among the values: another form is another act.
    const values = JSON.stringify(body);
    recent = recent.filter(r => Math.abs(at - r.at) < Limit.SAME_ACT_MS);
    const same = root && recent.find(r => r.values === values);
    const act = same ? same.act : newAct();
    if (!same) {
      recent.push({ values, at, act });
      add({ timestamp: stated.timestamp || stamp(at), ...body }, at, act, args.writeOnLocalStorage);
    }
    return act.listen(callbacks);
  };
}

/** Reads and sends. */
export function record(args?: Args, callbacks?: Callbacks): Chain {
  try {
    return take(args || {})(callbacks);
  } catch (e) {
    const act = newAct();
    act.tell(false, { status: 0, message: (e as Error).message });
    return act.listen(callbacks);
  }
}
