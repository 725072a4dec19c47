import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { computerName, homeLabel, readOwner } from '../../../src/config/owner.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-owner-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ann = { user: 'Ann Other', computer: 'laptop\nabc', chosen: '' };

test('the owner comes out the same when the state folder was deleted, and differs by user and by computer', () => {
  const at = (name: string, changes: Partial<typeof ann> = {}) => readOwner({ homeRoot: join(folder, name), ...ann, ...changes });
  const first = at('one');
  expect(first).toMatch(/^ann-other-[a-f0-9]{6}$/);
  rmSync(join(folder, 'one'), { recursive: true });
  expect(at('one')).toBe(first);
  expect(at('two')).toBe(first);
  expect(at('three', { user: 'bob' })).not.toBe(first);
  expect(at('four', { computer: 'laptop\nxyz' })).not.toBe(first);
  expect(readFileSync(join(folder, 'one', 'owner'), 'utf8')).toBe(first);
});

test('what stands in the state folder stays, whatever the computer is called by now; GPU_RUN_OWNER comes before it', () => {
  writeFileSync(join(folder, 'owner'), 'ann-x7k2pq\n');
  expect(readOwner({ homeRoot: folder, ...ann })).toBe('ann-x7k2pq');
  expect(readOwner({ homeRoot: folder, ...ann, chosen: 'team-vision' })).toBe('team-vision');
  expect(readOwner({ homeRoot: folder, ...ann })).toBe('ann-x7k2pq');
});

test.each(['Ann', 'a b', 'a" OR labels.x=1', '*', 'x'.repeat(64), 'é'])('an owner that is no label, or more than one, is refused: %s', (chosen) => {
  expect(() => readOwner({ homeRoot: folder, ...ann, chosen })).toThrow('GPU_RUN_OWNER');
  writeFileSync(join(folder, 'owner'), chosen);
  expect(() => readOwner({ homeRoot: folder, ...ann })).toThrow(join(folder, 'owner'));
});

test('the label of a state folder says which computer, and tells folders and computers of one name apart', () => {
  const label = homeLabel('/home/ann/.gpu-run', 'Anns-MacBook.local\nabc');
  expect(label).toMatch(/^anns-macbook-local-[a-f0-9]{6}$/);
  expect(homeLabel('/home/ann/other/../.gpu-run', 'Anns-MacBook.local\nabc')).toBe(label);
  expect(homeLabel('/home/ann/.gpu-run2', 'Anns-MacBook.local\nabc')).not.toBe(label);
  expect(homeLabel('/home/ann/.gpu-run', 'Anns-MacBook.local\nxyz')).not.toBe(label);
  expect(homeLabel('/', '123')).toMatch(/^[a-z][a-z0-9-]*-[a-f0-9]{6}$/);
  expect(computerName()).toBe(computerName());
});
