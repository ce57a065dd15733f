// The queue that pages push instructions to, before and after this script has loaded.

import { guarded, log, WARN } from './log';

/**
 * Takes over the queues that the page has begun under the given owners: runs what is in them, makes `push` run
 * at once from now on, and gives every owner the same queue. The API's own functions are the instructions, those
 * that an adapter adds later too.
 */
export function takeOver(owners: any[], api: any): void {
  const run = guarded((entry: any) => {
    const [name, ...args] = Array.isArray(entry) ? entry : [];
    if (Object.keys(api).includes(name)) api[name](...args);
    else log(WARN, 'unknown instruction');
  });
  const push = (...entries: unknown[]): number => {
    entries.forEach(run);
    return 0;
  };
  const queue: unknown[] = [];
  const begun: unknown[][] = owners.map(owner => owner.cons_instructions).filter(Array.isArray);
  [queue, ...begun].forEach(list => (list.push = push));
  owners.forEach(owner => (owner.cons_instructions = queue));
  begun.forEach(list => list.splice(0).forEach(run));
}
