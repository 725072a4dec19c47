import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { findSurprises, ignoreLine, surpriseText } from '../../../src/sync/surprise.ts';
import { temporaryFolder } from '../../support/tree.ts';

const MB = 1e6;
const named = (files: readonly (readonly [path: string, size: number])[]) =>
  findSurprises(files.map(([path, size]) => ({ path, size }))).map(({ path, bytes, looksLike }) => [path, bytes / MB, looksLike]);

it('says nothing of what is small, and of what is big only as far as a project is', () => {
  expect(named([])).toEqual([]);
  expect(named([['node_modules/a', 199 * MB]])).toEqual([]);
  expect(
    named([
      ['data/a', 499 * MB],
      ['models/b', 500 * MB],
    ]),
  ).toEqual([]);
});

it('names the outermost folder that a program has made, with all that is in it', () => {
  expect(
    named([
      ['web/node_modules/a/node_modules/b', 150 * MB],
      ['web/node_modules/c', 100 * MB],
      ['.venv/lib/site-packages/torch/x.so', 300 * MB],
      ['out/checkpoint-500/model.bin', 250 * MB],
      ['src/a.py', 1],
    ]),
  ).toEqual([
    ['.venv', 300, 'a virtual environment of Python'],
    ['web/node_modules', 250, 'packages of npm'],
    ['out/checkpoint-500', 250, 'a checkpoint of an earlier run'],
  ]);
});

it('a file of such a name is no such folder; a big core dump is one file', () => {
  expect(named([['a/wandb', 300 * MB]])).toEqual([]);
  expect(
    named([
      ['core.4711', 60 * MB],
      ['sub/core', 49 * MB],
    ]),
  ).toEqual([['core.4711', 60, 'a core dump']]);
});

it('of more than 1 GB it names where most of it lies, as deep as nearly all of it does', () => {
  expect(
    named([
      ['data/raw/images/1', 600 * MB],
      ['data/raw/images/2', 590 * MB],
      ['data/readme', 1],
      ['big.bin', 200 * MB],
      ['src/a', 90 * MB],
    ]),
  ).toEqual([
    ['data/raw/images', 1190, null],
    ['big.bin', 200, null],
  ]);
});

it('says how much, what it looks like, and the line', () => {
  const [one] = findSurprises([{ path: 'a b/wandb/x', size: 300 * MB }]);
  expect(one && surpriseText(one, 'would be sent')).toBe(
    'a b/wandb/ (300MB, 1 file), which looks like runs of Weights & Biases, would be sent. If no job needs it, leave it out by this line of .gpurunignore: /a b/wandb/',
  );
});

it('the line leaves out that path and nothing else, whatever it is called', () => {
  const folder = temporaryFolder('surprise');
  try {
    execFileSync('git', ['init', '-q', folder.path]);
    const part = fc.constantFrom('a', '*', '[x]', '#', '!', ' ', 'b ', '\\', '?', 'ü');
    fc.assert(
      fc.property(fc.array(fc.array(part, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 }), (parts) => {
        const path = parts.map((letters) => letters.join('')).join('/');
        writeFileSync(join(folder.path, '.gitignore'), `${ignoreLine({ path, isFolder: false })}\n`);
        const others = [`${path}x`, `x/${path}`, path.replaceAll(/[*?]/g, 'z')].filter((other) => other !== path);
        const input = [path, ...others].map((each) => `${each}\0`).join('');
        const args = ['-C', folder.path, 'check-ignore', '--no-index', '-z', '--stdin'];
        expect(
          execFileSync('git', args, { input, encoding: 'utf8' })
            .split('\0')
            .filter((each) => each !== ''),
        ).toEqual([path]);
      }),
      { numRuns: 20 },
    );
  } finally {
    folder.remove();
  }
});
