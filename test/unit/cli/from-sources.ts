/** The command line as a process, run from the sources: what `dist/main.js` does, without a build. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../../../src/cli/run-cli.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
pjson.oclif.commands.target = './src/cli/commands.ts';

process.exit(await runCli(process.argv.slice(2), { root, pjson, ignoreManifest: true }));
