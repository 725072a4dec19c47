import { expect, test } from 'vitest';
import { parseCount, parseOffset, parsePort, parseSince } from '../../../src/cli/numbers.ts';
import { noon } from './entries.ts';

test('ports', () => {
  expect(parsePort('8888')).toEqual({ local: 8888, host: '127.0.0.1', remote: 8888 });
  expect(parsePort('8888:6006')).toEqual({ local: 8888, host: '127.0.0.1', remote: 6006 });
  expect(parsePort('0:6006')).toEqual({ local: 0, host: '127.0.0.1', remote: 6006 });
  for (const text of ['port', '', '0', '65536', '1:2:3', '-1', '8888:', ':8888', '80.5', '1e3']) expect(() => parsePort(text), text).toThrow("isn't a port");
});

test('offsets and counts', () => {
  expect([parseOffset('0'), parseOffset('-4096'), parseCount('20', '--tail')]).toEqual([0, -4096, 20]);
  for (const text of ['', 'x', '1.5', '--1', '9'.repeat(20)]) expect(() => parseOffset(text), text).toThrow('--after');
  for (const text of ['', 'x', '-1']) expect(() => parseCount(text, '--tail'), text).toThrow('--tail');
});

test('since', () => {
  expect(parseSince('2026-11-01', noon)).toBe(Date.UTC(2026, 10, 1));
  expect(parseSince('2026-11-01T10:00:00Z', noon)).toBe(Date.UTC(2026, 10, 1, 10));
  expect(parseSince('7d', noon)).toBe(noon - 7 * 86_400_000);
  expect(parseSince('1h30m', noon)).toBe(noon - 5_400_000);
  for (const text of ['', 'yesterday', '2026-13-01', '11/01/2026', '7']) expect(() => parseSince(text, noon), text).toThrow();
});
