/** Whether the machine stays up once its job is over. */
import { expect, test } from 'vitest';
import { GpuRunError, LeaveRunning } from '../../../src/core/errors.ts';
import type { JobEntry } from '../../../src/core/job.ts';
import type { PulledFile } from '../../../src/sync/pull.ts';
import { explainWhatStays, keepsFor, madeNothing } from '../../../src/workflows/after-job.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { bringsCheckpoints } from '../../../src/workflows/last-checkpoints.ts';
import type { TrainInput } from '../../../src/workflows/train-input.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';

const input = { outputs: ['runs/'], teardown: 'auto', keepOnFailure: false } as unknown as TrainInput;
const rented = machineEntry({ forOneJob: true });
const made: PulledFile[] = [{ path: 'runs/model', bytes: 1, sha256: '' }];

test('a machine that was rented for a job stays behind one that failed where that was asked for, and not behind one that made nothing, which is said', () => {
  const keeps = (changes: Partial<TrainInput>, code: number) => keepsFor({ ...input, ...changes }, jobEntry({ code }), rented);
  expect([keeps({}, 0), keeps({}, 1), keeps({ keepOnFailure: true }, 0), keeps({ keepOnFailure: true, teardown: 'keep' }, 1)]).toEqual([
    null,
    null,
    null,
    null,
  ]);
  expect(keeps({ keepOnFailure: true }, 1)).toContain('stays up, because the job failed');
  const warns = (job: JobEntry, files = made) => madeNothing(input, job, files, rented) !== null;
  const metrics = [{ path: 'runs/gpu-run/job-1/metrics.jsonl', bytes: 1, sha256: '' }];
  expect([warns(jobEntry({ code: 0 }), []), warns(jobEntry({ code: 0 }), metrics)]).toEqual([true, true]);
  const others = [warns(jobEntry({ code: 0 })), warns(jobEntry({ code: 1 }), []), warns(jobEntry({ code: 0, reason: 'cancelled' }), [])];
  expect([...others, madeNothing({ ...input, outputs: [] }, jobEntry({ code: 0 }), [], rented)]).toEqual([false, false, false, null]);
});

test('checkpoints that nobody has named as outputs are brought, unless it was said what becomes of them or of the machine', () => {
  const none = { ...input, outputs: [], retry: { on: [], attempts: 1, resumeFrom: null } } as TrainInput;
  const brings = (changes: Partial<TrainInput>, job = jobEntry({ code: 0 }), machine = rented) => bringsCheckpoints({ ...none, ...changes }, job, machine);
  const preempted = brings({ keepOnFailure: true }, jobEntry({ code: 143, reason: 'preempted' }));
  expect([brings({}), brings({}, jobEntry({ code: 1 })), brings({ keepOnFailure: true }), preempted]).toEqual([true, true, true, true]);
  const others = [brings({ outputs: ['runs/'] }), brings({ retry: { ...none.retry, resumeFrom: 'state' } }), brings({ teardown: 'down' })];
  const ends = [brings({}, jobEntry({ code: 0, reason: 'cancelled' }))];
  const stays = [brings({ teardown: 'keep' }), brings({}, jobEntry({ code: 0 }), machineEntry()), brings({ keepOnFailure: true }, jobEntry({ code: 1 }))];
  expect([...others, ...ends, ...stays].some(Boolean)).toBe(false);
});

test('of a machine that stays although it was rented for a job that was never ordered, the error says what it costs and how it is ended', () => {
  const failure = new GpuRunError('sync', 'There is no folder data.', { hints: ['Make it.'], retry: 'never' });
  const hintsOf = (error: unknown, takeDown: boolean, machine = rented, reason?: Error) => {
    const context = { signal: reason === undefined ? new AbortController().signal : AbortSignal.abort(reason) } as RunContext;
    return (explainWhatStays(error, null, takeDown, machine, context) as GpuRunError).hints;
  };
  const stays = "'cats' stays up ($0.28 an hour): gpu-run down cats   ends it";
  expect(hintsOf(failure, false)).toEqual(['Make it.', stays]);
  expect(hintsOf(failure, true, rented, new LeaveRunning('The terminal was closed.'))).toEqual(['Make it.', stays]);
  expect(hintsOf(failure, true)).toEqual(['Make it.']);
  expect(hintsOf(failure, false, machineEntry())).toEqual(['Make it.']); // it was up before
  expect(hintsOf(new GpuRunError('lost', 'It is gone.'), false)).toEqual([]);
});
