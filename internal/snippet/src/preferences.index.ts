// avow-preferences.js: the preference centre.

import { guarded } from './log';
import { own } from './own';
import { preferencesAt } from './preferences';

guarded(() => {
  const script = document.currentScript as HTMLScriptElement | null;
  own().preferences = preferencesAt(script?.dataset.endpoint || new URL('.', script?.src || location.href).href);
})();
