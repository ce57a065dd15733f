// Log lines say what happened to a call and never what a person entered.

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal', 'none'];
export const WARN = 2, ERROR = 3;

let floor = WARN;

export function configureLog(logger?: string, level?: string): void {
  const at = LEVELS.indexOf(logger === 'none' ? logger : level!);
  floor = at < 0 ? WARN : at;
}

export function log(level: number, message: string): void {
  if (level >= floor) console[LEVELS[level] as 'warn' | 'error']('avow: ' + message);
}

/** Wraps a function so that nothing it throws reaches the page. */
export function guarded<A extends unknown[], R>(fn: (...args: A) => R): (...args: A) => R | undefined {
  return (...args) => {
    try {
      return fn(...args);
    } catch (e) {
      log(ERROR, String(e));
    }
  };
}

/** Listens before the page's own handlers, which may reset a form or stop an event. */
export function on(type: string, listener: (event: any) => void): void {
  addEventListener(type, guarded(listener), true);
}

/** Runs something when the page has nothing better to do. */
export function later(run: () => void): void {
  ((window as any).requestIdleCallback || setTimeout)(guarded(run), { timeout: 2000 });
}
