import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMarker, firstSince, formatMark, parseMarks, spacingOf, type TimeMark } from '../../../src/protocol/log.ts';

/** What a watcher sees: bytes that came at once, and how long it is until it looks again. */
const looks = fc.array(fc.record({ bytes: fc.constantFrom(0, 0, 1, 5, 1_000), pause: fc.constantFrom(0, 1, 20, 99, 100, 101, 5_000) }), { maxLength: 60 });

function play(steps: readonly { readonly bytes: number; readonly pause: number }[]): { marks: TimeMark[]; seen: TimeMark[]; size: number } {
  const marks: TimeMark[] = [];
  const seen: TimeMark[] = [];
  const marker = createMarker({ last: null, count: 0, write: (mark) => marks.push(mark) });
  let size = 0;
  let now = 1_000_000;
  for (const { bytes, pause } of steps) {
    size += bytes;
    if (bytes > 0) seen.push([size, now]);
    marker.look(size, now);
    now += pause;
  }
  marker.flush();
  return { marks, seen, size };
}

const timeOf = (marks: readonly TimeMark[], offset: number) => marks.find(([to]) => to > offset)?.[1] ?? Number.NaN;

describe('marks', () => {
  test('every byte has the time of the look that saw it first, or one at most a spacing later', () => {
    fc.assert(
      fc.property(looks, (steps) => {
        const { marks, seen, size } = play(steps);
        let before = 0;
        for (const [offset, ms] of seen) {
          const told = timeOf(marks, before);
          expect(told).toBeGreaterThanOrEqual(ms);
          expect(told - ms).toBeLessThan(100);
          before = offset;
        }
        expect(marks.at(-1)?.[0] ?? 0).toBe(size);
      }),
    );
  });

  test('no more than two in a spacing, and both numbers rise', () => {
    fc.assert(
      fc.property(looks, (steps) => {
        const { marks } = play(steps);
        for (const [index, [offset, ms]] of marks.entries()) {
          expect(offset).toBeGreaterThan(marks[index - 1]?.[0] ?? 0);
          expect(ms - (marks[index - 2]?.[1] ?? 0)).toBeGreaterThanOrEqual(100);
        }
      }),
    );
  });

  test('a clock that is set back turns no order round', () => {
    const marks: TimeMark[] = [];
    const marker = createMarker({ last: [5, 9_000], count: 1, write: (mark) => marks.push(mark) });
    marker.look(6, 1_000);
    marker.look(7, 1_200);
    marker.flush();
    expect(marks).toEqual([[7, 9_000]]);
  });

  test('a week of printing without a pause stays small', () => {
    let count = 0;
    let at = 0;
    for (; at < 7 * 86_400_000; count += 1) at += spacingOf(count);
    expect(count).toBeLessThan(262_144);
    expect(spacingOf(count)).toBeLessThan(13_000);
  });

  test('as a file, past torn lines and what another writer has put between', () => {
    const text = `${formatMark([10, 5])}10 5\n7 4\n\nrubbish\n\0\0\0\n12 3\n`;
    expect(parseMarks(`${text}13 2`, null)).toEqual({
      marks: [
        [10, 5],
        [12, 5],
      ],
      rest: '13 2',
    });
  });

  test('the first bytes that came at a time or later, or may have', () => {
    const marks: TimeMark[] = [
      [10, 100],
      [20, 200],
    ];
    expect([0, 100, 101, 200, 201].map((ms) => firstSince(marks, ms))).toEqual([0, 0, 10, 10, 20]);
  });
});
