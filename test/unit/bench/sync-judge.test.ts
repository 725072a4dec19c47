import { expect, test } from 'vitest';
import { parseChosen } from '../../../bench/sync/arguments.ts';
import { judge } from '../../../bench/sync/judge.ts';
import { countBytes } from '../../../bench/sync/network.ts';
import type { Taken } from '../../../bench/sync/rounds.ts';

const taken = (name: string, kind: Taken['kind'], connects: boolean, seconds: readonly number[], form: Taken['form'] = null): Taken => ({
  name,
  kind,
  form,
  connects,
  samples: seconds.map((each, index) => ({ seconds: each, wireBytes: 1000 + index, nearMs: index === 0 ? null : 5, farMs: 7 })),
});

const all = [
  taken('rsync', 'rsync', true, [4, 2, 3]),
  taken('rsync, packed', 'rsync', true, [5, 5, 5]),
  taken('rsync, open', 'rsync', false, [1, 1, 1]),
  taken('tar', 'peer', true, [0.1, 0.1, 0.1]),
  taken('ours', 'ours', true, [1.5, 1.5, 9], 'cold'),
  taken('ours, open', 'ours', false, [0.2, 0.2, 0.2], 'live'),
];

test('ratios are of medians, to the best rsync and to the best that connects alike; like is judged by like', () => {
  const rows = judge(all, { contentBytes: 0, megabits: null, wanted: { cold: { ratio: 0.5 }, live: { ratio: 0.1 } } });
  const [cold, live] = rows.slice(-2);
  expect(cold).toMatchObject({ median: 1.5, min: 1.5, toRsync: 1.5, toItsLike: 0.5, isReached: true });
  expect(live).toMatchObject({ toRsync: 0.2, toItsLike: 0.2, isReached: false });
  expect(rows[3]).toMatchObject({ name: 'tar', wanted: null, isReached: null });
});

test('what was not counted in each round has no median', () => {
  const [row] = judge(all, { contentBytes: 0, megabits: null, wanted: {} });
  expect(row).toMatchObject({ wireBytes: 1001, nearMs: null, farMs: 7, ofLine: null });
});

test('a line is full when the content takes the time that its packets need', () => {
  const seconds = (100e6 * 8) / (200e6 * (1448 / 1500));
  const rows = judge([taken('ours', 'ours', true, [seconds / 0.98], 'cold')], { contentBytes: 100e6, megabits: 200, wanted: { cold: { line: 0.97 } } });
  expect(rows[0]?.ofLine).toBeCloseTo(0.98, 9);
  expect(rows[0]).toMatchObject({ toRsync: null, isReached: true });
  expect(
    judge([taken('ours', 'ours', true, [seconds / 0.96], 'cold')], { contentBytes: 100e6, megabits: 200, wanted: { cold: { line: 0.97 } } })[0]?.isReached,
  ).toBe(false);
});

test('words choose workloads and links; without any it is all of them', () => {
  expect(parseChosen(['a', "d'", 'a', '--link', 'fat'], { BENCH_SCALE: '0.1', BENCH_ROUNDS: '' })).toEqual({
    workloads: ['a', 'd2'],
    links: ['fat'],
    scale: 0.1,
    rounds: null,
    folder: null,
  });
  expect(parseChosen([], {})).toMatchObject({ links: ['loopback', 'wan', 'fat'], scale: 1 });
  expect(parseChosen([], {}).workloads).toHaveLength(9);
});

test.each([
  [['z'], {}, "There is no workload 'z'. There are: a, b"],
  [['a', '--link'], {}, "There is no link ''. There are: loopback, wan, fat."],
  [[], { BENCH_SCALE: 'big' }, "BENCH_SCALE has to be a number above 0, not 'big'."],
  [[], { BENCH_ROUNDS: '0' }, 'BENCH_ROUNDS has to be'],
])('%j with %j is refused', (words, env, said) => {
  expect(() => parseChosen(words, env)).toThrow(said);
});

test('the bytes of a device, both ways; those of the loopback come in as they go out', () => {
  const table = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     500       5    0    0    0     0          0         0      500       5    0    0    0     0       0          0
 line0: 129334    2487    0    0    0     0          0         0 52625577    3784    0    0    0     0       0          0
`;
  expect(countBytes(table, 'lo')).toBe(500);
  expect(countBytes(table, 'line0')).toBe(129334 + 52625577);
  expect(() => countBytes(table, 'eth0')).toThrow('eth0');
});
