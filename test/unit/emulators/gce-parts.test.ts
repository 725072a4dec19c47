/** Parts of the emulator by themselves: the filter language, the lines of ssh-keys, its time. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeEmulatorClock } from '../../emulators/gce/emulator-clock.ts';
import { parseFilter } from '../../emulators/gce/list-filter.ts';
import { parseKeyLine } from '../../emulators/gce/ssh-keys.ts';

const resource = { name: 'gr-one', status: 'RUNNING', targetId: '2305843009213693952', labels: { 'gpu-run': '1', owner: 'ann' }, guestCpus: 8 };

test.each([
  ['labels.gpu-run=1', true],
  ['labels.gpu-run=2', false],
  ['labels.gpu-run:*', true],
  ['labels.other:*', false],
  ['labels.owner="ann" AND labels.gpu-run=1', true],
  ['labels.owner = ann', true],
  ['(labels.owner=ann) (status=RUNNING)', true],
  ['labels.owner=bob OR status=RUNNING', true],
  ['NOT status=RUNNING', false],
  ['status!=RUNNING', false],
  ['name eq "gr-.*"', true],
  ['name ne "gr-.*"', false],
  ['name=gr-*', true],
  ['guestCpus>4', true],
  ['guestCpus<=4', false],
  ['targetId=2305843009213693952', true],
  ['targetId=2305843009213693953', false],
])('filter %s', (filter, matches) => {
  expect(parseFilter(filter)(resource)).toBe(matches);
});

test.each(['labels.a==b', 'labels.a', '(status=RUNNING', 'status=', '=x', 'a=b)', 'name like x'])('filter %s is refused', (filter) => {
  expect(() => parseFilter(filter)).toThrow(/filter/);
});

test('a quoted value is that value, whatever it holds', () => {
  const values = fc.string({ maxLength: 20 }).filter((value) => !value.includes('*'));
  fc.assert(
    fc.property(values, values, (held, other) => {
      const filter = parseFilter(`labels.x="${held.replace(/["\\]/g, '\\$&')}" AND status=UP`);
      expect(filter({ status: 'UP', labels: { x: held } })).toBe(true);
      expect(filter({ status: 'UP', labels: { x: other } })).toBe(held === other);
    }),
  );
});

const blob = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4bS5u6v7w8x9y0z1A2B3C4D5E6F7G8H9I0J1K2L3M4';

test.each([
  [`ann:${blob} ann@host`, { user: 'ann', expiresAt: null }],
  [`ann:${blob} google-ssh {"userName":"ann","expireOn":"2026-11-22T00:00:00+0000"}`, { user: 'ann', expiresAt: Date.UTC(2026, 10, 22) }],
  [`ann:${blob} google-ssh {"userName":"ann","expireOn":"2026-11-22T00:00:00Z"}`, null],
  [`ann:${blob} google-ssh {broken`, null],
  [`${blob} ann@host`, null],
  ['ann:ssh-ed25519 nonsense', null],
])('key line %s', (line, read) => {
  if (read === null) expect(parseKeyLine(line)).toBeNull();
  else expect(parseKeyLine(line)).toMatchObject(read);
});

test('time that is passed brings what is due, in order, and nothing after the end', async () => {
  const clock = makeEmulatorClock();
  const seen: string[] = [];
  const start = clock.now();
  clock.at(start + 3_600_000, () => void seen.push('second'));
  clock.at(start + 1_800_000, () => void seen.push('first'));
  clock.at(start + 1_900_000, () => void seen.push('taken back'))();
  clock.at(start + 7_200_000, () => void seen.push('later'));
  clock.pass(3_600_000);
  await clock.sleep(0);
  expect(seen).toEqual(['first', 'second']);
  clock.close();
  clock.pass(7_200_000);
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual(['first', 'second']);
});
