import { expect, test } from 'vitest';
import { verdictOf } from '../../../src/cli/job-verdict.ts';
import { envelope } from '../../../src/cli/render/documents.ts';
import { renderError } from '../../../src/cli/render/error.ts';
import { createStyle } from '../../../src/cli/render/style.ts';
import { reportedError } from '../../../src/cli/reported-error.ts';
import { teardownOf } from '../../../src/cli/teardown-choice.ts';
import { type Attempt, GpuRunError, toGpuRunError } from '../../../src/core/errors.ts';
import { jobEntry } from './entries.ts';

const plain = createStyle(false);
const call = { words: ['status'], commands: ['status'] };

test('an error: what happened, then what to do; the causes on demand', () => {
  const cause = new Error('handshake failed', { cause: new Error('socket closed\u001b[2J') });
  const error = new GpuRunError('connection', "No connection to 'cats'.\nsecond line", { hints: ['Wait.', 'gpu-run doctor'], cause });
  expect(renderError(error, plain, false)).toBe("Error: No connection to 'cats'.\n  second line\n  -> Wait.\n  -> gpu-run doctor");
  expect(renderError(error, plain, true)).toBe(
    "Error: No connection to 'cats'.\n  second line\n  because: handshake failed\n  because: socket closed\\e[2J\n  -> Wait.\n  -> gpu-run doctor",
  );
});

test('a stack only for a bug of ours, with the wish to report it', () => {
  const shown = renderError(toGpuRunError(new TypeError('x is not a function')), plain, false);
  expect(shown).toMatch(/^Error: x is not a function\nThis is a bug in gpu-run\. Please report it, with these lines:\nTypeError: x is not a function\n {4}at /);
  expect(renderError(new GpuRunError('lost', 'Gone.', { cause: new Error('why') }), plain, true)).not.toMatch(/^\s+at /m);
});

test('on a narrow terminal nothing is cut and no word is broken: why stands below where, hints stay whole', () => {
  const zones = Array.from({ length: 34 }, (_, index) => `us-east1-${index}`);
  const attempts = zones.map((zone) => ({
    provider: 'gcp',
    region: 'us-east1',
    zone,
    type: 'g2-standard-4',
    error: { code: 'no-capacity', message: `Google has no g2-standard-4 (L4, spot) in ${zone} now (ZONE_RESOURCE_POOL_EXHAUSTED).`, hints: [] },
  })) satisfies Attempt[];
  const hint = 'gcloud projects add-iam-policy-binding emulated --member=user:YOUR-ADDRESS --role=roles/compute.instanceAdmin.v1';
  const message = 'No machine could be had at gcp (1 x L4 (spot)) in 34 tries: out of stock 34 times. Google has no g2-standard-4 in us-east1-0 now.';
  const error = new GpuRunError('no-capacity', message, { attempts, hints: [hint] });
  expect(renderError(error, plain, false, 80).split('\n')).toEqual([
    'Error: No machine could be had at gcp (1 x L4 (spot)) in 34 tries: out of stock',
    '  34 times. Google has no g2-standard-4 in us-east1-0 now.',
    '  TRIED  TYPE           WHERE',
    '  gcp    g2-standard-4  us-east1-0, us-east1-1 and 32 others',
    '      Google has no g2-standard-4 (L4, spot) there now',
    '      (ZONE_RESOURCE_POOL_EXHAUSTED).',
    `  -> ${hint}`,
  ]);
  expect(renderError(error, plain, false, 160)).toContain('32 others  Google has no g2-standard-4 (L4, spot) there now (ZONE_RESOURCE_POOL_EXHAUSTED).');
  expect(renderError(error, createStyle(true), false, 160)).toContain('WHY NOT');
});

test('what was tried is one table; places that failed alike share a row', () => {
  const attempts = [
    ...['a', 'b', 'c', 'd', 'e'].map((letter): Attempt => {
      const zone = `us-central1-${letter}`;
      const message = `Google has no g2-standard-4 (L4) in ${zone} now (GPU_STOCKOUT).`;
      return { provider: 'gcp', region: 'us-central1', zone, type: 'g2-standard-4', error: { code: 'no-capacity', message, hints: [] } };
    }),
    { provider: 'ssh', region: null, zone: null, type: null, error: { code: 'not-allowed', message: 'No key.\u001b[2J', hints: [] } } as const,
  ];
  const error = new GpuRunError('no-capacity', 'No machine could be had.', { attempts, hints: ['Try later.'] });
  expect(renderError(error, plain, false).split('\n')).toEqual([
    'Error: No machine could be had.',
    '  TRIED  TYPE           WHERE                                      WHY NOT',
    '  gcp    g2-standard-4  us-central1-a, us-central1-b and 3 others  Google has no g2-standard-4 (L4) there now (GPU_STOCKOUT).',
    '  ssh    -              -                                          No key.\\e[2J',
    '  -> Try later.',
  ]);
  expect(envelope('up', {}, error)).toMatchObject({
    outcome: 'error',
    attempts: [{ zone: 'us-central1-a', error: { code: 'no-capacity' } }, {}, {}, {}, {}, {}],
  });
  expect(renderError(new GpuRunError('interrupted', 'Interrupted.', { attempts }), plain, false)).toBe('Error: Interrupted.');
});

test('causes that go in a circle end', () => {
  const error: GpuRunError = new GpuRunError('lost', 'a', { cause: new Error('b') });
  (error.cause as Error).cause = error;
  expect(renderError(error, plain, true)).toBe('Error: a\n  because: b');
});

test.each([
  ['EACCES', 'not-allowed'],
  ['ENOTDIR', 'sync'],
  ['ENOSPC', 'disk-full'],
])('a file that fails with %s is no bug', (code, kind) => {
  const thrown = Object.assign(new Error('raw'), { code, path: '/home/ada/x' });
  const error = reportedError(thrown, call);
  expect(error.code).toBe(kind);
  expect(error.message).toContain('/home/ada/x');
});

test('an error of the system without a file, or one that we did not foresee, is a bug', () => {
  expect(reportedError(Object.assign(new Error('raw'), { code: 'EPIPE' }), call).code).toBe('internal');
  expect(reportedError(Object.assign(new Error('raw'), { code: 'EWEIRD', path: '/x' }), call).code).toBe('internal');
  expect(reportedError(new DOMException('stop', 'AbortError'), call).code).toBe('interrupted');
});

test("a job's exit code is ours, whatever it is", () => {
  for (const code of [0, 1, 37, 64, 90, 137, 255]) expect(verdictOf(jobEntry({ code }), [])).toEqual({ exitCode: code, failure: null });
  expect(verdictOf(jobEntry(null), [])).toEqual({ exitCode: 0, failure: null });
});

test.each([
  ['lost', 'lost'],
  ['deadline', 'deadline'],
  ['cancelled', 'interrupted'],
] as const)('an end without exit code: %s', (reason, kind) => {
  expect(verdictOf(jobEntry({ code: null, reason }), []).failure).toMatchObject({ code: kind });
});

test.each([0, 143, null])('a preempted job is not done, whatever it ended with: %s', (code) => {
  const { failure } = verdictOf(jobEntry({ code, reason: 'preempted' }), []);
  expect(failure).toMatchObject({ code: 'preempted', hints: ['gpu-run train   starts it again; with retry: in gpu-run.yaml that happens by itself'] });
});

test('after several attempts there may be a checkpoint: how to go on from it is said', () => {
  const { failure } = verdictOf({ ...jobEntry({ code: 0, reason: 'preempted' }), attempts: 2 }, []);
  expect(failure?.hints).toEqual(['gpu-run train   starts it again from nothing, with --start-from FOLDER from a checkpoint']);
});

test.each([
  ['deadline', 'deadline', '--max-time'],
  ['budget', 'budget', '--budget'],
  ['stalled', 'interrupted', '--stall'],
] as const)('a job that the watchdog has ended is not done, even with exit code 0: %s', (reason, kind, help) => {
  for (const code of [0, 143, null]) {
    const { failure } = verdictOf(jobEntry({ code, reason }), []);
    expect(failure).toMatchObject({ code: kind, hints: [expect.stringContaining(help)] });
  }
});

test('what may still bill counts more than the job', () => {
  expect(verdictOf(jobEntry({ code: 3 }), ['disk x: gcloud compute disks delete x']).failure).toMatchObject({
    code: 'still-billing',
    hints: ['disk x: gcloud compute disks delete x'],
  });
});

test('what becomes of the machine', () => {
  expect([teardownOf({}), teardownOf({ down: true }), teardownOf({ keep: true }), teardownOf({ down: true, keep: false })]).toEqual([
    'auto',
    'down',
    'keep',
    'down',
  ]);
  expect(() => teardownOf({ down: true, keep: true })).toThrow('exclude');
});
