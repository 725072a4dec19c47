import { expect, test } from 'vitest';
import type { PlainSeen } from '../../../src/sync/plain-peer.ts';
import { type PlainFact, planPlainPush } from '../../../src/sync/plain-plan.ts';
import type { Found } from '../../../src/sync/scan.ts';

const file = (path: string, size = 1, second = 100): Found => ({
  kind: 'file',
  path,
  mode: 0o644,
  mtime: second * 1e6 + 999_999,
  size,
  absolute: `/${path}`,
});
const dir = (path: string): Found => ({ kind: 'dir', path, mode: 0o755, mtime: 0 });
const link = (path: string, target: string): Found => ({ kind: 'link', path, target });
const seenFile = (size = 1, mtime = 100): PlainSeen => ({ kind: 'file', size, mtime, executable: false });
const seen = (kind: PlainSeen['kind']): PlainSeen => ({ kind, size: 0, mtime: 0, executable: false });
const fact = (size = 1, mtime = 100): readonly PlainFact[] => [{ kind: 'file', size, mtime }];

const plan = (
  found: Found[],
  there: Record<string, PlainSeen>,
  record: Record<string, readonly PlainFact[]> = {},
  outputs: string[] = [],
  others: string[] = [],
) => {
  const { changes, send, leftAlone, after, during } = planPlainPush({
    found,
    seen: new Map(Object.entries(there)),
    record: new Map(Object.entries(record)),
    outputs,
    others,
  });
  return {
    changes: changes.map(({ op, path }) => `${op} ${path}`),
    send: send.map(({ path }) => path),
    leftAlone,
    after: [...after.keys()],
    during: [...during.keys()],
  };
};

test('what is there by size and whole second is not sent, and is not ours unless it was', () => {
  expect(plan([file('a'), file('b')], { a: seenFile(), b: seenFile() }, { b: fact() })).toEqual({
    changes: [],
    send: [],
    leftAlone: [],
    after: ['b'],
    during: ['b'],
  });
});

test('ours is replaced, the machine’s own is moved aside, both are sent', () => {
  expect(plan([file('a', 2), file('b', 2)], { a: seenFile(), b: seenFile() }, { a: fact() })).toMatchObject({ changes: ['aside b'], send: ['a', 'b'] });
});

test('deletes only what was placed and looks just so, deepest first', () => {
  const there = { d: seen('dir'), 'd/a': seenFile(), 'd/changed': seenFile(9), 'd/theirs': seenFile(), gone: seenFile(1, 5) };
  const record = { d: [{ kind: 'dir' }] as const, 'd/a': fact(), 'd/changed': fact(), gone: fact(), lost: fact() };
  expect(plan([], there, record).changes).toEqual(['remove d/a', 'rmdir d', 'aside gone', 'aside d/changed']);
  expect(plan([], there, record, ['d']).changes).toEqual(['remove d/a', 'rmdir d', 'aside gone']);
});

test('a cut push may have left the old or the new', () => {
  const either = { a: [...fact(1), ...fact(2)] };
  for (const size of [1, 2]) expect(plan([file('a', 3)], { a: seenFile(size) }, either)).toMatchObject({ changes: [], send: ['a'], during: ['a'] });
});

test('a link is sent unless it is known to lead to the same place', () => {
  expect(plan([link('l', 'x')], { l: seen('link') }, { l: [{ kind: 'link', target: 'x' }] }).send).toEqual([]);
  expect(plan([link('l', 'x')], { l: seen('link') }, { l: [{ kind: 'link', target: 'y' }] })).toMatchObject({ changes: [], send: ['l'] });
  expect(plan([link('l', 'x')], { l: seen('link') })).toMatchObject({ changes: ['aside l'], send: ['l'] });
});

test('outputs that differ are left alone, with all below them', () => {
  const there = { runs: seenFile(), 'data/x': seenFile(5) };
  expect(plan([dir('runs'), file('runs/a')], there, {}, ['runs'])).toMatchObject({ changes: [], send: [], leftAlone: ['runs'] });
});

test('a folder of the machine goes aside whole; one that is emptied just goes', () => {
  const there = { d: seen('dir'), 'd/own': seenFile(), e: seen('dir'), 'e/a': seenFile() };
  const record = { e: [{ kind: 'dir' }] as const, 'e/a': fact() };
  expect(plan([file('d'), file('e')], there, record)).toMatchObject({ changes: ['remove e/a', 'rmdir e', 'aside d'], send: ['d', 'e'] });
});

test('below a folder that is put in a link’s place nothing is there', () => {
  expect(plan([dir('d'), file('d/a')], { d: seen('link'), 'd/a': seenFile() })).toMatchObject({ changes: ['aside d'], send: ['d', 'd/a'] });
});
