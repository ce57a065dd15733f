// avow.js: records what a person agreed to, or refused, on a website.

import { guarded } from './log';
import { start } from './start';

guarded(() => {
  const script = document.currentScript as HTMLScriptElement | null;
  start(script?.src || '', script?.dataset.endpoint);
})();
