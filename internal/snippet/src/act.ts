// What has become of an act, and who wants to know.

import { Callbacks, Chain } from './avow';
import { guarded, log, WARN } from './log';


export interface Act {
  /** Settles the act, or says once that it waits (`queued`) and may still be settled. */
  tell(ok: boolean, data: any): void;
  /** The chain is what the page gets to go on listening. */
  listen(callbacks?: Callbacks): Chain;
}

export function newAct(): Act {
  const listeners: Callbacks[] = [];
  let latest: [name: 'success' | 'error', data: any] | undefined;
  const call = guarded((callbacks: Callbacks) => {
    callbacks[latest![0]]?.(latest![1]);
  });
  const listen = (callbacks?: Callbacks): Chain => {
    if (callbacks) {
      listeners.push(callbacks);
      if (latest) call(callbacks);
    }
    return chain;
  };
  const chain: Chain = { success: success => listen({ success }), error: error => listen({ error }) };
  return {
    listen,
    tell(ok, data) {
      if (latest && data.queued) return;
      latest = [ok ? 'success' : 'error', data];
      if (!ok) log(WARN, 'not recorded: ' + data.status + ' ' + data.message);
      listeners.forEach(call);
    },
  };
}
