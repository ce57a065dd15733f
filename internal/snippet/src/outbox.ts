// Consents on their way: kept until the server has answered for each, sent one after the other, tried again, across
// pages.
//
// An item belongs to one page, which holds a lock of its own name while it has any. Another page takes an item over
// when that lock is free: its page has gone. Were two pages to send the same item nevertheless, both would send the
// same idempotency key.

import { Act, newAct } from './act';
import { Body } from './avow';
import { later, log, on, WARN } from './log';
import { Answer, beacon, Destination, post, stamp, survives, write } from './post';
import { forget, Item, keep, PREFIX, read, readAll } from './store';
import { uuid7 } from './uuid';

const enum Limit {
  /** After so many failures in a row the page is told that its consents wait. */
  PATIENCE = 3,
  /** Four times as long after each failure. */
  PAUSE_MS = 125,
  LONGEST_PAUSE_MS = 60000,
  BUSY_PAUSE_MS = 10000,
  /** No site takes a key that is older than a year (and a day, for time zones). */
  TOO_OLD_MS = 366 * 86400000,
}
const NO_ANSWER = 'no answer from the server';

const me = uuid7(Date.now());
const locks = navigator.locks as LockManager | undefined;
/** In the order of their acts. */
const pending: Item[] = [];
const acts: Record<string, Act> = {};

let to: Destination | undefined;
/** The item that is under way. */
let flying: Item | undefined;
let failures = 0;
let timer = 0;
/** Gives this page's lock back. */
let letGo: (() => void) | undefined;

/** Says where consents go, and sends what waits: this page's, and those of pages that have gone. */
export function connect(destination: Destination, aside: boolean): void {
  to = destination;
  pending.forEach(item => (item.to ||= to));
  flush();
  later(() => { // the page waits while the browser opens the storage
    on('storage', lookAround);
    lookAround();
    if (aside) sendAside();
  });
}

/** Sends what was put aside. */
export const sendAside = (): void => adopt('');

/** Takes a consent from the page. It leaves in this very call unless an earlier one has to be waited for. */
export function add(body: Body, at: number, act: Act, aside?: boolean): void {
  const id = uuid7(at);
  const item: Item = { id, key: id, to, body, at, by: aside ? '' : me };
  acts[id] = act;
  if (aside && keep(item)) return;
  item.by = me;
  hold();
  pending.push(item);
  if (!timer && !navigator.onLine) rest(Limit.PATIENCE);
  flush();
  if (flying !== item) save(item);
  if (timer) announce({ status: 0, message: NO_ANSWER });
}

function save(item: Item): void {
  if (!keep(item)) log(WARN, 'not stored');
}

function flush(): void {
  const item = pending[0];
  if (timer || flying || !item?.to) return;
  const first = depart(item);
  flying = item;
  post(item).then(answer => {
    flying = undefined;
    settle(item, answer, first);
    flush();
  });
}

/** Notes the attempt before it is made; true when it is the first. */
function depart(item: Item): boolean {
  if (item.sent) return false;
  item.sent = Date.now();
  save(item);
  return true;
}

function settle(item: Item, { status, data }: Answer, first: boolean): void {
  const ok = status > 0 && status < 300;
  if (!ok) data = { message: status ? 'the server answered ' + status : NO_ANSWER, ...data, status };
  if (!status || status >= 500 || status === 408 || status === 425 || status === 429) {
    rest(failures + 1, status === 429 ? Limit.BUSY_PAUSE_MS : 0);
    announce(data);
    return;
  }
  failures = 0;
  if (ok || data.code !== 'clock' || !restamp(item, Date.parse(data.server_time), first)) finish(item, ok, data || {});
}

/** Waits before anything is sent again, longer after each failure. */
function rest(times: number, least = 0): void {
  failures = times;
  const pause = Math.max(Math.min(Limit.PAUSE_MS * 4 ** times, Limit.LONGEST_PAUSE_MS), least);
  timer = setTimeout(wake, pause * (1 + Math.random())) as any;
}

export function wake(): void {
  clearTimeout(timer);
  timer = 0;
  flush();
}

/** Tells the page of everything that waits, after more than a hiccup. */
function announce(problem: object): void {
  if (failures >= Limit.PATIENCE) pending.forEach(item => acts[item.id].tell(false, { ...problem, queued: true }));
}

/**
 * The device's clock is out of the server's range. What was certainly never stored gets the corrected time and a new
 * key, once; what may have been stored by an attempt nobody heard the answer of is not doubled.
 */
function restamp(item: Item, serverTime: number, first: boolean): boolean {
  const skew = serverTime - Date.now();
  if (item.skew !== undefined || !serverTime) return false;
  const stored = read(item.id);
  if (stored && stored.by !== me) {
    remove(item); // another page has it
    return true;
  }
  // The first attempt met a server's clock that showed sent + skew.
  if (!first && item.at < serverTime && item.sent! + skew - item.at < Limit.TOO_OLD_MS) {
    log(WARN, 'perhaps recorded');
    return false;
  }
  const { at, body } = item;
  item.skew = skew;
  item.key = uuid7(at + skew);
  item.sent = undefined;
  if (body.timestamp === stamp(at)) {
    body.device_time = body.timestamp;
    body.timestamp = stamp(at + skew);
  }
  save(item);
  return true;
}

function remove(item: Item): void {
  pending.splice(pending.indexOf(item), 1);
  if (!pending[0]) letGo = letGo!() as undefined;
}

function finish(item: Item, ok: boolean, data: unknown): void {
  forget(item);
  remove(item);
  acts[item.id].tell(ok, data);
  delete acts[item.id];
}

/** Runs something while no other page has the lock; at once where there are no locks. */
function locked(page: string, run: () => unknown): void {
  if (locks) locks.request(PREFIX + page, run).catch(run);
  else run();
}

/** Shows other pages that this one is alive; only while it has something to send, because a page with a lock is not kept for the way back. */
function hold(): void {
  if (letGo) return;
  const over = new Promise<void>(done => (letGo = done));
  locked(me, () => over);
}

const awaited = new Set([me, '']);

/** Looks for what other pages have left, or have and may leave. */
function lookAround(event?: StorageEvent): void {
  if (!to || (event && !(locks && event.newValue && event.key!.startsWith(PREFIX)))) return;
  readAll().forEach(({ by }) => {
    if (awaited.has(by)) return;
    awaited.add(by);
    locked(by, () => {
      awaited.delete(by);
      adopt(by);
    });
  });
}

function adopt(page: string): void {
  readAll().forEach(item => {
    if (item.by !== page) return;
    hold();
    acts[item.id] ||= newAct();
    item.by = me;
    if (!item.to || item.to[1] === to?.[1]) item.to = to; // the site's API may have moved
    save(item);
    pending.push(item);
  });
  pending.sort((a, b) => (a.id < b.id ? -1 : 1));
  flush();
}

/** The page goes: whatever would stop with it is handed to the browser, and stays kept until somebody hears of it. */
export function leave(): void {
  pending.forEach(item => {
    if (!item.to || !navigator.onLine || (item === flying && survives(write(item)))) return;
    depart(item);
    beacon(item);
  });
}
