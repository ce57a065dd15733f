// One attempt to send a consent.

import { Body } from './avow';

const enum Limit {
  /** Browsers refuse keepalive bodies above 64 KiB. */
  KEEPALIVE_BYTES = 60000,
  TIMEOUT_MS = 30000,
}

// Taken at load, so that a page that replaces fetch later does not change how consents are sent.
const fetch = window.fetch;

/** The API's address and the site's public key. */
export type Destination = [endpoint: string, key: string];

export interface Letter {
  to?: Destination;
  /** Idempotency key. */
  key: string;
  body: Body;
  /** The server's clock minus this device's, in ms, where it was measured. */
  skew?: number;
}

export interface Answer {
  /** HTTP status; 0 when there was no answer. */
  status: number;
  data?: any;
}

export const write = ({ body, skew }: Letter): string => JSON.stringify({ ...body, sent_at: stamp(Date.now() + (skew || 0)) });

export const stamp = (ms: number): string => new Date(ms).toISOString();

/** Whether the browser goes on sending it when the page is left. */
export const survives = (text: string): boolean =>
  new TextEncoder().encode(text).length < Limit.KEEPALIVE_BYTES;

/** Posts a consent; the request leaves in this very call. */
export async function post(letter: Letter): Promise<Answer> {
  const [endpoint, key] = letter.to!;
  try {
    const body = write(letter);
    const response = await fetch.call(window, endpoint + '/public/consent', {
      method: 'POST',
      headers: { ApiKey: key, 'Content-Type': 'application/json', 'Idempotency-Key': letter.key },
      body,
      keepalive: survives(body),
      credentials: 'omit',
      signal: AbortSignal.timeout?.(Limit.TIMEOUT_MS),
    });
    return { status: response.status, data: await response.json().catch(() => {}) };
  } catch {
    return { status: 0 }; // offline, blocked, or cut off
  }
}

/** Hands a consent to the browser while the page goes; nobody will hear the answer. */
export function beacon(letter: Letter): void {
  const [endpoint, key] = letter.to!;
  // A beacon has no headers of its own: what they say stands in the query.
  navigator.sendBeacon(`${endpoint}/public/consent?key=${encodeURIComponent(key)}&idempotency_key=${letter.key}`, write(letter));
}
