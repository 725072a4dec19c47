/** The command line as a process, run from the sources: what `dist/main.js` does, without a build. `COMMAND_MAP`: another map of commands, relative to the repository. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../../../src/cli/run-cli.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
pjson.oclif.commands.target = process.env['COMMAND_MAP'] ?? './src/cli/commands.ts';

process.exit(await runCli(process.argv.slice(2), { root, pjson, ignoreManifest: true }));
