import { expect, test } from 'vitest';
import { type Contender, compare, median } from '../../../bench/measure.ts';

const named = (name: string): Contender => ({ name, argv: ['true'] });

test('rounds are interleaved, after one warm-up of each that does not count', () => {
  const order: string[] = [];
  compare([named('a'), named('b')], 2, ({ name }) => {
    order.push(name);
    return { wallMs: 1, cpuMs: 1 };
  });
  expect(order).toEqual(['a', 'b', 'a', 'b', 'a', 'b']);
});

test('minimum, median, mean CPU time, and the ratio of minima to the first', () => {
  const wall: Record<string, number[]> = { a: [99, 4, 2, 3], b: [99, 9, 8, 20] };
  const cpu: Record<string, number[]> = { a: [99, 10, 0, 20], b: [99, 0, 0, 0] };
  const rows = compare([named('a'), named('b')], 3, ({ name }) => ({ wallMs: wall[name]?.shift() ?? 0, cpuMs: cpu[name]?.shift() ?? 0 }));
  expect(rows).toEqual([
    { name: 'a', minMs: 2, medianMs: 3, cpuMs: 10, ratio: 1 },
    { name: 'b', minMs: 8, medianMs: 9, cpuMs: 0, ratio: 4 },
  ]);
});

test.each([
  [[3, 1, 2], 2],
  [[4, 1, 3, 2], 2.5],
  [[7], 7],
])('the median of %j is %d', (values, expected) => {
  expect(median(values)).toBe(expected);
});

test('the CPU time is that of the command', () => {
  const busy = 'const end = performance.now() + 300; while (performance.now() < end);';
  const [idle, working] = compare(
    [
      { name: 'idle', argv: [process.execPath, '-e', '0'] },
      { name: 'busy', argv: [process.execPath, '-e', busy] },
    ],
    1,
  );
  expect(working?.minMs).toBeGreaterThanOrEqual(300);
  expect(working?.cpuMs ?? 0).toBeGreaterThan(idle?.cpuMs ?? 0);
});

test('a command that fails is no result', () => {
  expect(() => compare([{ name: 'broken', argv: ['sh', '-c', 'echo because >&2; exit 3'] }], 1)).toThrow('broken ended with 3: because');
});

test('what a run starts from is brought about before each', () => {
  let times = 0;
  compare([{ ...named('a'), before: () => void (times += 1) }], 2);
  expect(times).toBe(3);
});
