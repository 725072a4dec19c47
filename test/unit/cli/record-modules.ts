/** Preloaded with `--import`: writes to stderr, at the end, every file that was loaded. */
import { registerHooks } from 'node:module';

const loaded: string[] = [];
registerHooks({
  load: (url, context, next) => {
    loaded.push(url);
    return next(url, context);
  },
});
process.on('exit', () => process.stderr.write(`${loaded.join('\n')}\n`));
