let last = 0;

/**
 * A version 7 UUID (RFC 9562): milliseconds since 1970 in the first 48 bits, random bits after them. Those of one page
 * are in the order in which they were made: two of the same millisecond are a millisecond apart.
 */
export function uuid7(ms: number): string {
  last = ms > last || ms < last - 1000 ? ms : last + 1;
  const time = last.toString(16).padStart(12, '0');
  const random = Array.from(crypto.getRandomValues(new Uint8Array(9)), b => (b + 256).toString(16).slice(1)).join('');
  return time.slice(0, 8) + '-' + time.slice(8) + '-7' + random.slice(0, 3) + '-8' + random.slice(3, 6) + '-' + random.slice(6);
}
