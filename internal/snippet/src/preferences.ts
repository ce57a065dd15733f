// avow.preferences: puts the preference centre on the page.

import { PreferenceOptions, Target } from './avow';
import { Centre } from './centre';
import { find } from './form';
import { guarded } from './log';
import { spoken } from './words';

/** What shows the centre on an element; base is the API's address as far as the script tag or the module's own tell. */
export const preferencesAt = (base: string) =>
  guarded((target: Target, options: PreferenceOptions): void => {
    const host = find(target);
    if (!host || !options.api_key) throw new Error('preferences: ' + (host ? 'no api_key' : 'element not found'));
    const tag = options.language || host.closest<HTMLElement>('[lang]')?.lang || '';
    const centre = new Centre(options, (options.endpoint || base).replace(/\/+$/, ''), canonical(tag));
    host.textContent = '';
    host.append(centre.element);
    centre.start();
  });

/** A tag as the API and the browser take it, also of a page that says fr_FR; that of the texts where it is none. */
function canonical(tag: string): string {
  try {
    return Intl.getCanonicalLocales(tag.replace('_', '-'))[0];
  } catch {
    return spoken(tag);
  }
}
