import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMeter } from '../../../src/cli/render/progress-meter.ts';

function metered() {
  let at = 5_000;
  const meter = createMeter(() => at);
  let say = () => '';
  return {
    meter,
    pass: (ms: number) => {
      at += ms;
    },
    take: (done: number, total: number | null = 100e6) => {
      say = meter.take({ type: 'progress', phase: 'sync', done, total, unit: 'bytes' });
      return say();
    },
    say: () => say(),
  };
}

describe('how fast it goes', () => {
  it('is not guessed in the first second, nor the time that is left in the first three', () => {
    const { take, pass } = metered();
    expect(take(0)).toBe('0B of 100MB, 0%');
    pass(900);
    expect(take(9e6)).toBe('9MB of 100MB, 9%');
    pass(1_100);
    expect(take(20e6)).toBe('20MB of 100MB, 20%, 10MB/s');
    pass(2_000);
    expect(take(40e6)).toBe('40MB of 100MB, 40%, 10MB/s, 6s left');
  });

  it('is that of the last seconds, and falls while nothing comes', () => {
    const { take, pass, say } = metered();
    take(0);
    for (let second = 1; second <= 20; second += 1) {
      pass(1_000);
      take(second * 1e6);
    }
    for (let second = 1; second <= 20; second += 1) {
      pass(1_000);
      take(20e6 + second * 2e6);
    }
    expect(say()).toBe('60MB of 100MB, 60%, 2MB/s, 20s left');
    pass(6_000);
    expect(say()).toBe('60MB of 100MB, 60%, 1MB/s, 40s left');
    pass(60_000);
    expect(say()).toBe('60MB of 100MB, 60%, 0B/s');
  });

  it('says minutes of hours, and days of what never ends', () => {
    const { take, pass } = metered();
    take(0, 1e12);
    pass(4_000);
    expect(take(400e6, 1e12)).toBe('400MB of 1TB, 0%, 100MB/s, 2h 47m left');
    take(0, 1e15);
    pass(4_000);
    expect(take(4e6, 1e15)).toContain('days left');
  });

  it('leaves out the share and the end of what nobody knows the length of', () => {
    const { take, pass } = metered();
    take(0, null);
    pass(4_000);
    expect(take(40e6, null)).toBe('40MB, 10MB/s');
  });
});

describe('how far it is', () => {
  it('never goes back where a piece has to come again, and begins anew with another amount, or another begin', () => {
    const { meter, take } = metered();
    take(50e6);
    expect(take(30e6)).toBe('50MB of 100MB, 50%');
    expect(take(60e6)).toBe('60MB of 100MB, 60%');
    expect(take(1e6, 200e6)).toBe('1MB of 200MB, 0%');
    meter.begin('sync');
    expect(take(500e3, 200e6)).toBe('500KB of 200MB, 0%');
  });

  it('is told at whatever pace it comes, with a share of at most 100 and a rate that is possible', () => {
    const step = fc.record({ ms: fc.nat(3_000), bytes: fc.nat(10_000_000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const { take, pass } = metered();
        let done = 0;
        take(done);
        for (const { ms, bytes } of steps) {
          pass(ms);
          done += bytes;
          expect(take(done)).toMatch(/^[\d.]+[KMG]?B of 100MB, (100|\d?\d)%(, [\d.]+[KMGT]?B\/s)?(, [^,]+ left)?$/);
        }
      }),
    );
  });
});
