/** Whether the machine stays up once its job is over. */
import { expect, test } from 'vitest';
import { GpuRunError, LeaveRunning } from '../../../src/core/errors.ts';
import type { PulledFile } from '../../../src/sync/pull.ts';
import { explainWhatStays, keepsCheckpoints, keepsFor } from '../../../src/workflows/after-job.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import type { TrainInput } from '../../../src/workflows/train-input.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';

const input = { outputs: ['runs/'], teardown: 'auto', keepOnFailure: false } as unknown as TrainInput;
const rented = machineEntry({ forOneJob: true });
const made: PulledFile[] = [{ path: 'runs/model', bytes: 1, sha256: '' }];

test('a machine that was rented for a job stays when the job has made nothing where outputs are looked for, but not when it was cancelled', () => {
  expect(keepsFor(input, jobEntry({ code: 0 }), [], rented)).toContain('made nothing at runs/');
  expect(keepsFor(input, jobEntry({ code: 0 }), made, rented)).toBeNull();
  expect(keepsFor(input, jobEntry({ code: 0, reason: 'cancelled' }), [], rented)).toBeNull();
  expect(keepsFor(input, jobEntry({ code: 143, reason: 'cancelled' }), [], rented)).toBeNull();
});

test('so does one with checkpoints that nobody has named as outputs, unless it was said what becomes of them or of it', () => {
  const none = { ...input, outputs: [], retry: { on: [], attempts: 1, resumeFrom: null } } as TrainInput;
  const keeps = (changes: Partial<TrainInput>, job = jobEntry({ code: 0 }), machine = rented, saved = true) =>
    keepsCheckpoints({ ...none, ...changes }, job, saved, machine) !== null;
  expect(keepsCheckpoints(none, jobEntry({ code: 1 }), true, rented)).toContain('gpu-run pull cats checkpoints, then gpu-run down cats');
  expect(keeps({})).toBe(true);
  const others = [keeps({ outputs: ['runs/'] }), keeps({ retry: { ...none.retry, resumeFrom: 'state' } }), keeps({ teardown: 'down' })];
  const elsewhere = [keeps({}, jobEntry({ code: 0, reason: 'cancelled' })), keeps({}, jobEntry({}), machineEntry()), keeps({}, jobEntry({}), rented, false)];
  expect([...others, ...elsewhere]).toEqual([false, false, false, false, false, false]);
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
