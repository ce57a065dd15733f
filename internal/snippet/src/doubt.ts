// Ticks that may be nobody's act: a box that was ticked before the person came, or that nobody could see
// (GDPR, recital 32; CJEU C-673/17, Planet49).

import { on } from './log';

export type Doubt = 'pre_ticked' | 'hidden';

const touched = new WeakSet<EventTarget>();

/** Remembers the fields that the person has changed. */
export function watchChanges(): void {
  on('change', (e: Event) => e.isTrusted && touched.add(e.composedPath()[0]));
}

function isVisible(e: any): unknown {
  return e.checkVisibility?.({ visibilityProperty: true }) ?? e.getClientRects()[0];
}

/**
 * What speaks against the yes of a field: a tick, or a hidden field's value. A styled box is often invisible itself, and
 * its label is what is seen.
 */
export function doubtsOf(box: HTMLInputElement | undefined): Doubt[] {
  const doubts: Doubt[] = [];
  if (!box || touched.has(box) || !(box.checked || box.type === 'hidden')) return doubts;
  if (box.defaultChecked) doubts.push('pre_ticked');
  if (![box, ...(box.labels || [])].some(isVisible)) doubts.push('hidden');
  return doubts;
}
