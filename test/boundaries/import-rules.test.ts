/** Every import rule fires on a violation planted for it, on nothing else there, and the real tree has none. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findViolations } from '../../scripts/check-boundaries.ts';

const repository = join(import.meta.dirname, '..', '..');
const planted = join(import.meta.dirname, 'planted');
const { forbidden } = createRequire(import.meta.url)(join(repository, '.dependency-cruiser.cjs')) as { forbidden: { name: string }[] };

/** `rule: file`, from the first line of each planted file that breaks one. */
const expected = readdirSync(planted, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .flatMap((path) => {
    const rule = /^\/\/ breaks: (\S+)/.exec(readFileSync(join(planted, path), 'utf8'))?.[1];
    return rule === undefined ? [] : [`${rule}: ${path}`];
  })
  .sort();

test('each planted violation is found, by its rule, and nothing else is', async () => {
  const { violations } = await findViolations(planted);
  expect(violations.map(({ rule, from }) => `${rule}: ${from}`).sort()).toEqual(expected);
});

test('no rule is without a planted violation', () => {
  const broken = new Set(expected.map((line) => line.slice(0, line.indexOf(':'))));
  expect(forbidden.map(({ name }) => name).filter((name) => !broken.has(name))).toEqual([]);
});

test('the tree breaks no rule', async () => {
  const { violations, files } = await findViolations(repository);
  expect(violations).toEqual([]);
  expect(files).toBeGreaterThan(50);
});
