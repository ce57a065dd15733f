// avow-banner.js: for a consent banner that the site has made itself.

import { Banner, BannerOptions, Choices, FieldMap } from './avow';
import { announce, recall } from './choices';
import { conclude } from './conclude';
import { find } from './form';
import { own } from './own';

export function banner(options: BannerOptions): Banner {
  const { element, categories } = options;
  const pick = (choices: Choices): Choices => Object.fromEntries(categories.map(key => [key, choices[key] === true]));
  const record = (choice: string, choices: Choices, map?: FieldMap) => {
    conclude(find(element), pick(choices), { choice }, { ...options, map });
    announce(pick(choices));
  };
  return {
    accept: () => record('all', Object.fromEntries(categories.map(key => [key, true]))),
    refuse: () => record('none', {}),
    choose: choices => record('custom', choices, { preferences: Object.fromEntries(categories.map(key => [key, key])) }),
    chosen() {
      const known = recall();
      return categories.every(key => key in known) ? pick(known) : undefined;
    },
  };
}

own().banner = banner;
