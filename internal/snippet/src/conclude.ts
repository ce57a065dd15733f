// What all banners do with an act.

import { BannerConsent, Choices, FieldMap } from './avow';
import { own } from './own';

/** Before avow.js is there, the banner as it is now: it may be gone when it is read. */
function copied(element: Element): Element {
  const copy = element.cloneNode(true) as HTMLElement;
  copy.lang = (element.closest<HTMLElement>('[lang]') || copy).lang;
  return copy;
}

interface Shown extends BannerConsent {
  /** Boxes to look at for ticks that are nobody's act. */
  map?: FieldMap;
}

/** Records an act. The first proof is the banner as it is shown, the last one what the banner says of the act by itself. */
export function conclude(shown: Element | null, preferences: Choices, act: object, { consent, callbacks, map }: Shown): void {
  const avow = own();
  const proofs = [{ content: JSON.stringify(act) }];
  const args = {
    form: shown && (avow.submit ? { selector: shown, map } : { selector: copied(shown) }),
    consent: {
      timestamp: avow.submit ? undefined : new Date().toISOString(),
      ...consent,
      act: 'banner',
      preferences,
      proofs: shown ? [{}, ...proofs] : proofs,
    },
  };
  (avow.cons_instructions ||= []).push(['submit', args, callbacks]);
}
