// Forms that are read when the person sends them.

import { record, take } from './consent';
import { find, formTarget, oneOf, rememberPasswords, unwrap } from './form';
import { guarded, log, on, WARN } from './log';
import { Args, Callbacks } from './avow';

interface Armed {
  args: Args;
  callbacks?: Callbacks;
  /** Decides on a click that no submit event has followed yet. */
  settle?: () => void;
}

let armed: Armed[] = [];

/** Watches a form; arming the same form and element again replaces the earlier arming. */
export function arm(args: Args, callbacks?: Callbacks): void {
  const isOther = (one: unknown, other: unknown) => (unwrap(one) || null) !== (unwrap(other) || null);
  armed = armed.filter(
    ({ args: a }) => isOther(a.submitElement, args.submitElement) || isOther(formTarget(a.form), formTarget(args.form)),
  );
  armed.push({ args, callbacks });
}

/** Records the form that was armed last without a submit element. */
export function recordArmed(): void {
  const manual = armed.filter(a => !a.args.submitElement).pop();
  if (manual) record(manual.args, manual.callbacks);
  else log(WARN, 'sendData: no form');
}

const isSubmitType = oneOf('submit image');
const isSubmitter = (e: any): e is HTMLButtonElement => e.form && isSubmitType(e.type);

/** The browser refuses to submit its form, and says so to the person, who has therefore not sent anything. */
const isRefused = (e: Element): boolean =>
  isSubmitter(e) && !e.formNoValidate && !e.form!.noValidate && e.form!.matches(':invalid');

/**
 * A click is an act, but so is the submit event that mostly follows it, with values the page may have tidied up in
 * between. The values of the click are kept and sent when the click has brought no submit event: the page
 * sends the form itself, or leaves. A page that handles the click may have emptied the form by then, or made it valid.
 */
function onClick(event: Event): void {
  rememberPasswords();
  armed.forEach(
    guarded(entry => {
      const element = find(entry.args.submitElement)!; // null is in no path
      if (!event.composedPath().includes(element) || element.localName === 'form') return;
      const send = take(entry.args);
      const wasRefused = isRefused(element);
      const settle = guarded(() => {
        if (entry.settle !== settle) return;
        entry.settle = undefined;
        if (!isRefused(element) || (event.defaultPrevented && !wasRefused)) send(entry.callbacks);
      });
      entry.settle = settle;
      setTimeout(settle);
    }),
  );
}

function onSubmit(event: Event): void {
  const submitter = (event as SubmitEvent).submitter;
  armed.forEach(
    guarded(entry => {
      if (!entry.args.submitElement) return;
      const element: any = find(entry.args.submitElement);
      const own = element?.form;
      if (event.target !== find(formTarget(entry.args.form)) && event.target !== own) return;
      // Another button of the same form is another act.
      if (submitter && own === event.target && isSubmitter(element) && submitter !== element) return;
      entry.settle = undefined;
      record(entry.args, entry.callbacks);
    }),
  );
}

/** Settles the clicks that are not decided: the page goes. */
export function settleAll(): void {
  armed.forEach(entry => entry.settle?.());
}

export function watch(): void {
  on('click', onClick);
  on('submit', onSubmit);
}
