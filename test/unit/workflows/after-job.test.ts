/** Whether the machine stays up once its job is over. */
import { expect, test } from 'vitest';
import type { PulledFile } from '../../../src/sync/pull.ts';
import { keepsCheckpoints, keepsFor } from '../../../src/workflows/after-job.ts';
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
