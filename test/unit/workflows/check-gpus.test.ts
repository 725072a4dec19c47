import { beforeEach, describe, expect, test } from 'vitest';
import type { Report } from '../../../src/core/reporter.ts';
import type { PreflightReport } from '../../../src/protocol/preflight.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';
import { checkGpus, gpuLimits, isPlausible } from '../../../src/workflows/check-gpus.ts';
import type { RunContext } from '../../../src/workflows/context.ts';

let clock: FakeClock;
let reports: Report[];
let abort: AbortController;
beforeEach(() => {
  clock = createFakeClock();
  reports = [];
  abort = new AbortController();
});

const gpu = (index: number, more: Partial<PreflightReport['gpus'][number]> = {}) => ({
  index,
  name: 'NVIDIA L4',
  kernel: 'ran' as const,
  problem: null,
  ...more,
});
const ready = (...gpus: PreflightReport['gpus']): PreflightReport => ({ driver: 'ready', problem: null, gpus, note: null });
const texts = () => reports.flatMap((report) => ('text' in report ? [report.text] : []));

/** `answer`: what the runner says at a time, milliseconds after the first look. */
function check(answer: (ms: number) => unknown, asked = { name: 'L4', count: 1 }): Promise<void> {
  const since = clock.now();
  const call = (async () => answer(clock.now() - since)) as unknown as RunnerClient['call'];
  const context = { clock, signal: abort.signal, reporter: { report: (report: Report) => void reports.push(report) } } as unknown as RunContext;
  const checking = checkGpus({ machineName: 'cats', gpu: asked, runner: { call }, since }, context);
  checking.catch(() => {});
  return checking;
}

describe('the driver', () => {
  const installing: PreflightReport = { driver: 'installing', problem: 'install-driver.sh is at work', gpus: [], note: null };

  test('that is being installed is waited for, and the wait is told', async () => {
    const checking = check((ms) => (ms < 130_000 ? installing : ready(gpu(0))));
    await clock.advance(140_000);
    await checking;
    expect(texts()).toEqual(
      expect.arrayContaining(['Checking the GPUs', 'The NVIDIA driver is being installed (5 s)', 'The NVIDIA driver is being installed (2 min)']),
    );
    expect(texts().at(-1)).toBe('1 x NVIDIA L4, a kernel ran on each');
  });

  test('that is never done is given up, elsewhere', async () => {
    const checking = check(() => installing);
    await clock.advance(gpuLimits.driverMs + 10_000);
    await expect(checking).rejects.toMatchObject({
      code: 'unfit',
      retry: 'elsewhere',
      message: expect.stringMatching(/not ready after 10 min: install-driver.sh is at work/),
    });
  });

  test.each(['missing', 'failing'] as const)('that is %s is not waited for', async (driver) => {
    const checking = check(() => ({ driver, problem: 'nvidia-smi failed', gpus: [], note: null }));
    await clock.advance(0);
    await expect(checking).rejects.toMatchObject({ code: 'unfit', retry: 'elsewhere', message: "'cats' can't use its GPUs: nvidia-smi failed." });
  });

  test('is not waited for by a caller who leaves', async () => {
    const checking = check(() => installing);
    await clock.advance(1_000);
    abort.abort(new Error('left'));
    await expect(checking).rejects.toThrow('left');
  });

  test('a look that never ends is one that failed', async () => {
    const checking = check(() => new Promise(() => {}));
    await clock.advance(gpuLimits.lookMs);
    await expect(checking).rejects.toMatchObject({ code: 'unfit', retry: 'elsewhere', message: expect.stringContaining('did not end within 2 min') });
    expect(clock.sleeping).toBe(0);
  });

  test('an answer that makes no sense is a protocol error', async () => {
    await expect(check(() => ({ driver: 'fine' }))).rejects.toMatchObject({ code: 'protocol' });
  });
});

describe('the GPUs', () => {
  test('too few', async () => {
    await expect(check(() => ready(gpu(0)), { name: 'L4', count: 2 })).rejects.toMatchObject({
      code: 'unfit',
      message: "1 of 2 GPUs can be used on 'cats': it has 1.",
    });
  });

  test('one of them is broken', async () => {
    const broken = gpu(1, { kernel: 'failed', problem: 'its memory has an error that could not be corrected (ECC)' });
    await expect(check(() => ready(gpu(0), broken), { name: 'L4', count: 2 })).rejects.toMatchObject({
      code: 'unfit',
      retry: 'elsewhere',
      message: "1 of 2 GPUs can be used on 'cats': GPU 1 (NVIDIA L4): its memory has an error that could not be corrected (ECC).",
    });
    await check(() => ready(gpu(0), broken), { name: 'L4', count: 1 });
    expect(texts().join()).toContain('More GPUs than asked for');
  });

  test('others than asked for', async () => {
    await expect(check(() => ready(gpu(0)), { name: 'T4', count: 1 })).rejects.toMatchObject({
      code: 'unfit',
      message: expect.stringContaining('1 x T4 that were asked for: NVIDIA L4'),
    });
  });

  test('what could not be checked is a note', async () => {
    await check(() => ({ ...ready(gpu(0, { kernel: 'unknown' })), note: 'No Python.' }));
    expect(reports).toContainEqual({ type: 'note', level: 'info', text: 'No Python.' });
    expect(texts().at(-1)).toBe('1 x NVIDIA L4');
  });

  test.each([
    ['NVIDIA L4', 'L4', true],
    ['NVIDIA L40S', 'L4', false],
    ['Tesla T4', 'T4', true],
    ['Tesla V100-SXM2-16GB', 'V100', true],
    ['Tesla P100-PCIE-16GB', 'P100', true],
    ['NVIDIA A100-SXM4-40GB', 'A100', true],
    ['NVIDIA A100-SXM4-80GB', 'A100-80GB', true],
    ['NVIDIA H100 80GB HBM3', 'H100', true],
    ['NVIDIA H100 80GB HBM3', 'H100-MEGA', true],
    ['NVIDIA H200', 'H100', false],
    ['NVIDIA RTX PRO 6000 Blackwell Server Edition', 'RTX-PRO-6000', true],
    ['NVIDIA GeForce RTX 4090', 'RTX4090', true],
    ['NVIDIA B200', 'b200', true],
    ['whatever', 'GPU', true],
  ])('%s for %s: %s', (reported, asked, plausible) => {
    expect(isPlausible(reported, asked)).toBe(plausible);
  });
});
