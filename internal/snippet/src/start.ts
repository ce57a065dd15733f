// Puts the API on the page.

import { newAct } from './act';
import { arm, recordArmed, settleAll, watch } from './arm';
import { Chain, Options } from './avow';
import { configure, record } from './consent';
import { watchChanges } from './doubt';
import { rememberPasswords } from './form';
import { configureLog, ERROR, guarded, log, on } from './log';
import { connect, leave, sendAside, wake } from './outbox';
import { own } from './own';
import { takeOver } from './queue';

/** Of a file's address: its name, with the slash before it. */
const NAME = /\/[^/?#]*([?#].*)?$/;

/** Starts on a page, once. The API is where this script came from, unless its tag or the page says otherwise. */
export function start(file: string, endpoint?: string): any {
  const avow = own();
  if (avow.sendData) return avow; // a second script tag
  const iub = ((window as any)._iub ||= {});

  const init = (options: Options, ready?: () => void): Chain => {
    const act = newAct();
    configureLog(options.logger, options.log_level);
    if (options.api_key) {
      configure(options);
      connect([(options.endpoint || endpoint || file.replace(NAME, '')).replace(/\/+$/, ''), options.api_key], options.sendFromLocalStorageAtLoad !== false);
      act.tell(true, {});
    } else {
      log(ERROR, 'init: no api_key');
    }
    return act.listen({ success: ready });
  };
  iub.cons = Object.assign(avow, {
    init: guarded(init),
    load: guarded(arm),
    submit: guarded(record),
    sendData: guarded(recordArmed),
    sendFromLocalStorage: guarded(sendAside),
  });
  rememberPasswords();
  watch();
  watchChanges();
  on('pagehide', settleAll);
  on('pagehide', leave);
  on('online', wake);
  takeOver([iub, avow], avow);
  return avow;
}
