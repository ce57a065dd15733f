// avow.mjs: the same as avow.js, for pages that import modules.

import { guarded } from './log';
import { start } from './start';

export default guarded(start)(import.meta.url);
