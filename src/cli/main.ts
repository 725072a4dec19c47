/** The entry of the command line: `bin/run.js` imports it once a Node that is new enough has been found. */
import { join } from 'node:path';
import { runCli } from './run-cli.ts';

// Runs from `dist`, one folder below the package's root. Connections and timers that are still open don't keep the process.
process.exit(await runCli(process.argv.slice(2), { root: join(import.meta.dirname, '..') }));
