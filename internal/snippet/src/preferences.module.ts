// avow-preferences.mjs: the same as avow-preferences.js, for pages that import modules.

import { preferencesAt } from './preferences';

export default preferencesAt(new URL('.', import.meta.url).href);
