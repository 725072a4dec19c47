import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LogEvent } from '../../../src/workflows/job-event.ts';
import { createStamper } from '../../../src/workflows/stamp-log.ts';

const bytes = (text: string) => Buffer.from(text);
const shown = (events: readonly LogEvent[]) => events.map(({ offset, bytes: piece, at }) => [offset, Buffer.from(piece).toString(), at]);

test('bytes wait for their times, and are cut where these change', () => {
  const stamper = createStamper(true);
  expect(stamper.log('out', 0, bytes('one\ntwo\nthree\n'))).toEqual([]);
  expect(shown(stamper.times('out', [[4, 100]]))).toEqual([[0, 'one\n', 100]]);
  expect(shown(stamper.times('out', [[10, 200]]))).toEqual([[4, 'two\nth', 200]]);
  expect(shown(stamper.rest())).toEqual([[10, 'ree\n', null]]);
});

test('the streams do not wait for each other', () => {
  const stamper = createStamper(true);
  stamper.log('out', 0, bytes('out'));
  stamper.times('err', [[3, 5]]);
  expect(shown(stamper.log('err', 0, bytes('err')))).toEqual([[0, 'err', 5]]);
});

test('without holding, bytes go on at once, with the time of the first where it is known', () => {
  const stamper = createStamper(false);
  expect(shown(stamper.log('out', 0, bytes('ab')))).toEqual([[0, 'ab', null]]);
  stamper.times('out', [
    [2, 7],
    [4, 9],
  ]);
  expect(shown(stamper.log('out', 2, bytes('cdef')))).toEqual([[2, 'cdef', 9]]);
});

test('no byte is lost, doubled or turned round, whatever comes first', () => {
  const step = fc.oneof(fc.record({ log: fc.integer({ min: 1, max: 9 }) }), fc.record({ mark: fc.integer({ min: 1, max: 9 }) }));
  fc.assert(
    fc.property(fc.boolean(), fc.nat(20), fc.array(step, { maxLength: 60 }), (hold, begin, steps) => {
      const stamper = createStamper(hold);
      const events: LogEvent[] = [];
      let at = begin;
      let marked = 0;
      for (const each of steps) {
        if ('log' in each) {
          events.push(
            ...stamper.log(
              'out',
              at,
              Uint8Array.from({ length: each.log }, (_, index) => at + index),
            ),
          );
          at += each.log;
        } else {
          marked += each.mark;
          events.push(...stamper.times('out', [[marked, marked * 10]]));
        }
      }
      events.push(...stamper.rest());
      expect(events.flatMap((event) => [...event.bytes])).toEqual(Array.from({ length: at - begin }, (_, index) => (begin + index) % 256));
      // A time is that of the first mark behind the byte: never an earlier one.
      for (const event of events) if (typeof event.at === 'number') expect(event.at / 10).toBeGreaterThan(event.offset);
    }),
  );
});

test('no number of marks is too many', () => {
  const stamper = createStamper(true);
  const marks = Array.from({ length: 400_000 }, (_, n) => [n + 1, n] as const);
  expect(stamper.times('out', marks)).toEqual([]);
  expect(stamper.times('out', marks)).toEqual([]);
  expect(shown(stamper.log('out', 399_999, bytes('x')))).toEqual([[399_999, 'x', 399_999]]);
});

test('so much is held at most', () => {
  const stamper = createStamper(true);
  const mega = new Uint8Array(1024 * 1024);
  let released = 0;
  for (let n = 0; n < 16; n++) for (const event of stamper.log('out', n * mega.length, mega)) released += event.bytes.length;
  expect(released).toBeGreaterThanOrEqual(11 * mega.length);
});
