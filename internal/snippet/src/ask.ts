// One call of the preference centre to the API.

const TIMEOUT_MS = 30000;

// Taken at load, so that a page that replaces fetch later does not change what the centre sends.
const fetch = window.fetch;

export interface Answer {
  /** HTTP status; 0 when there was no answer. */
  status: number;
  /** The JSON of the answer, an empty object without one. */
  data: any;
}

/** Posts a body, which goes on its way even if the page is left. The id makes a repetition the same request. */
export async function ask(url: string, key: string, body: string, id?: string): Promise<Answer> {
  try {
    const response = await fetch.call(window, url, {
      method: 'POST',
      headers: { ApiKey: key, 'Content-Type': 'application/json', ...(id && { 'Idempotency-Key': id }) },
      body,
      keepalive: true,
      credentials: 'omit',
      signal: AbortSignal.timeout?.(TIMEOUT_MS),
    });
    return { status: response.status, data: (await response.json().catch(() => null)) || {} };
  } catch {
    return { status: 0, data: {} }; // offline, blocked, or cut off
  }
}

/** What can go wrong, as the texts name it. */
export type Fault = 'offline' | 'down' | 'busy' | 'changed' | 'lapsed_session' | 'broken';

/** What may be otherwise at the next try. */
export const passing: Fault[] = ['offline', 'down', 'busy'];

/** What went wrong; undefined when nothing did. */
export function faultOf({ status, data }: Answer): Fault | undefined {
  if (status >= 200 && status < 300) return;
  if (!status) return 'offline';
  if (status === 401 && data.code === 'token') return 'lapsed_session';
  if (status === 409) return 'changed';
  if (status === 429) return 'busy';
  return status >= 500 ? 'down' : 'broken';
}
