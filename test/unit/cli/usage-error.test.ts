/** Calls that oclif refuses, in our words. oclif itself reads the words, with the real commands. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '@oclif/core';
import { expect, test } from 'vitest';
import { commands } from '../../../src/cli/commands.ts';
import { commandOf, reportedError } from '../../../src/cli/reported-error.ts';
import type { GpuRunError } from '../../../src/core/errors.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
pjson.oclif.commands.target = './src/cli/commands.ts';
const known = Object.keys(commands).map((id) => id.replaceAll(':', ' '));

async function refused(argv: readonly string[]): Promise<GpuRunError> {
  try {
    await run([...argv], { root, pjson, ignoreManifest: true });
  } catch (thrown) {
    return reportedError(thrown, { words: argv, commands: known });
  }
  throw new Error(`${argv.join(' ')} was not refused`);
}

test.each([
  [['lgos'], "There is no command 'lgos'.", 'Did you mean: gpu-run logs'],
  [['xyzzyxyzzy'], "There is no command 'xyzzyxyzzy'.", 'gpu-run --help   lists the commands'],
  [['up', '--gup', 'L4'], "There is no flag --gup of 'up'.", 'Did you mean: --gpu'],
  [['up', '--max-tme=2h'], "There is no flag --max-tme of 'up'.", 'Did you mean: --max-time'],
  [['templates', 'show', '--foo', 'x'], "There is no flag --foo of 'templates show'.", 'gpu-run templates show --help   shows what there is'],
  [['status', 'cats'], "There is a word too many: 'cats'.", 'gpu-run status --help   shows what there is'],
  [['up', 'cats', 'dogs'], "There is a word too many: 'dogs'.", 'gpu-run up --help   shows what there is'],
  [['train', 'cats', 'python'], "There is a word too many: 'python'.", 'What runs on the machine goes behind --, as in: gpu-run train -- python train.py'],
  [['--json', 'status'], "The first word has to be a command, and '--json' is a flag.", 'Flags go behind the command, as in: gpu-run status --json'],
  [['logs', '--tail'], 'Flag --tail expects a value.', 'gpu-run logs --help   shows what there is'],
  [['up', '--gpu', 'L4', '--gpu', 'T4'], 'Flag --gpu can only be specified once.', 'gpu-run up --help   shows what there is'],
  [
    ['cost', '--by', 'week'],
    'Expected --by=week to be one of: machine, job, template, user, branch, commit, day.',
    'gpu-run cost --help   shows what there is',
  ],
  [['forward'], 'There is a word missing: PORTS.', 'gpu-run forward --help   shows what there is'],
  [['templates', 'show'], 'There is a word missing: NAME.', 'gpu-run templates show --help   shows what there is'],
])('gpu-run %j', async (argv, message, hint) => {
  const error = await refused(argv);
  expect(error).toMatchObject({ code: 'usage', message });
  expect(error.hints).toContain(hint);
});

test('the command of a call', () => {
  expect(commandOf(['templates', 'show', 'x'], known)).toBe('templates show');
  expect(commandOf(['templates', '--json'], known)).toBe('templates');
  expect(commandOf(['trian'], known)).toBeNull();
  expect(commandOf([], known)).toBeNull();
});
