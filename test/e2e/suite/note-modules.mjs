/** Loaded before the command line (`NODE_OPTIONS=--import=...`): writes down every module that is loaded, one address a line. */
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

const file = process.env['NOTE_MODULES_IN'];
if (file !== undefined) {
  registerHooks({
    load(url, context, nextLoad) {
      appendFileSync(file, `${url}\n`);
      return nextLoad(url, context);
    },
  });
}
