import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatGpuNeed, parseGpuNeed } from '../../../src/core/gpu-need.ts';
import { refusal } from './refusal.ts';

describe('parseGpuNeed', () => {
  it.each([
    ['L4', { name: 'L4', count: 1 }],
    ['L4:1', { name: 'L4', count: 1 }],
    ['A100-80GB:8', { name: 'A100-80GB', count: 8 }],
    [' rtx4090:2 ', { name: 'rtx4090', count: 2 }],
  ])('reads %j', (text, need) => {
    expect(parseGpuNeed(text)).toEqual(need);
  });

  it.each([
    ['8xA100', 'A100:8'],
    ['2:L4', 'L4:2'],
    ['RTX A6000', 'RTX-A6000:1'],
    ['1', 'L4:1'],
    ['', 'L4:1'],
    ['L4:', 'L4:1'],
    ['L4:0', 'L4:1'],
    ['L4:-1', 'L4:1'],
    ['L4:1.5', 'L4:1'],
    ['L4:65', 'L4:1'],
    ['L4:1:1', 'L4:1'],
    ['L4;rm', 'L4:1'],
  ])('refuses %j and suggests %j', (text, suggestion) => {
    const { code, hints } = refusal(() => parseGpuNeed(text));
    expect(code).toBe('bad-input');
    expect(hints.join(' ')).toContain(suggestion);
  });

  it('reads what formatGpuNeed writes', () => {
    const need = fc.record({ name: fc.stringMatching(/^[A-Z]{1,4}[0-9]{1,4}(-[0-9]{2}GB)?$/), count: fc.integer({ min: 1, max: 64 }) });
    fc.assert(
      fc.property(need, (wanted) => {
        expect(parseGpuNeed(formatGpuNeed(wanted))).toEqual(wanted);
      }),
    );
  });
});
