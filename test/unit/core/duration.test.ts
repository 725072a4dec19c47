import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../../src/core/duration.ts';
import { GpuRunError } from '../../../src/core/errors.ts';
import { refusal } from './refusal.ts';

describe('parseDuration', () => {
  it.each([
    ['90s', 90],
    ['15m', 900],
    ['4h', 14_400],
    ['2d', 172_800],
    ['1h30m', 5_400],
    ['1h 30m', 5_400],
    [' 1d2h3m4s ', 93_784],
    ['90m', 5_400],
    ['366d', 31_622_400],
  ])('reads %j as %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it('refuses a plain number and offers the units', () => {
    expect(refusal(() => parseDuration('4'))).toMatchObject({ code: 'bad-input', message: "'4' has no unit.", hints: [expect.stringContaining('4h')] });
  });

  it("doesn't offer a unit for a zero that it refuses with any", () => {
    expect(refusal(() => parseDuration('0')).message).toBe("'0' is no time at all.");
  });

  it.each(['', ' ', 'h', '4hours', '4 h', '-4h', '1.5h', '30m1h', '4h4h', '1e3s', '٤h', '4h\n4m\nx'])('refuses %j and shows how to write it', (text) => {
    const { code, hints } = refusal(() => parseDuration(text));
    expect(code).toBe('bad-input');
    expect(hints.join()).toContain('1h30m');
  });

  it.each(['0s', '0h0m', '367d', '99999999999999999999h'])('refuses %j, which is no useful span', (text) => {
    expect(refusal(() => parseDuration(text)).code).toBe('bad-input');
  });
});

describe('formatDuration', () => {
  it.each([
    [5_400, '1h 30m'],
    [45, '45s'],
    [0, '0s'],
    [0.4, '0s'],
    [59.6, '1m'],
    [-5, '0s'],
    [93_784, '1d 2h 3m 4s'],
  ])('writes %d seconds as %j', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  it('gives what parseDuration reads as the same number', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 366 * 86_400 }), (seconds) => parseDuration(formatDuration(seconds)) === seconds));
  });
});

it('parseDuration either gives whole seconds above zero or refuses, whatever it is given', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom('1', '30', '0', 'd', 'h', 'm', 's', ' ', '.', '-')).map((parts) => parts.join('')),
  );
  const outcome = (text: string): unknown => {
    try {
      return parseDuration(text);
    } catch (error) {
      return error;
    }
  };
  fc.assert(
    fc.property(texts, (text) => {
      const result = outcome(text);
      return typeof result === 'number' ? Number.isSafeInteger(result) && result > 0 : result instanceof GpuRunError && result.hints.length > 0;
    }),
  );
});
