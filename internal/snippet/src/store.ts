// What this browser keeps of consents that are not known to be stored: one entry of localStorage each.

import { Letter } from './post';

/** Of the names in localStorage, and of the locks that say which page is alive. */
export const PREFIX = 'avow:';
const enum Limit {
  ITEMS = 500,
}

export interface Item extends Letter {
  /** Its first idempotency key: its name in the store, and its place in the order. */
  id: string;
  /** The page that sends it; '' when it was put aside for whoever asks. */
  by: string;
  /** The device's clock at the act, in ms. */
  at: number;
  /** The device's clock at the first attempt whose outcome is not known. */
  sent?: number;
}

/** Uses the storage where there is one: browsers deny it in private windows, in frames, and when it is full. */
function attempt<T>(use: (storage: Storage) => T): T | undefined {
  try {
    return use(localStorage);
  } catch {
    return undefined;
  }
}

const names = (storage: Storage): string[] => Object.keys(storage).filter(name => name.startsWith(PREFIX));

export function read(id: string): Item | null | undefined {
  return attempt(storage => JSON.parse(storage.getItem(PREFIX + id)!));
}

/** All items, in no order. */
export function readAll(): Item[] {
  return (attempt(names) || [])
    .map(name => read(name.slice(PREFIX.length)))
    .filter(item => item?.body) as Item[];
}

/** Keeps an item, or its new state; false when it could not be. */
export function keep(item: Item): boolean {
  return !!attempt(storage => {
    if (!read(item.id) && names(storage).length >= Limit.ITEMS) return false;
    storage.setItem(PREFIX + item.id, JSON.stringify(item));
    return true;
  });
}

export function forget(item: Item): void {
  attempt(storage => storage.removeItem(PREFIX + item.id));
}
