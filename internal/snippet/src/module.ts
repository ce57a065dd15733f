// avow.mjs: the same as avow.js, for pages that import modules.

import { start } from './start';

export default start(import.meta.url);
