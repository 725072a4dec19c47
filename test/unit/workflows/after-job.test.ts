/** Whether the machine stays up once its job is over. */
import { expect, test } from 'vitest';
import type { PulledFile } from '../../../src/sync/pull.ts';
import { keepsFor } from '../../../src/workflows/after-job.ts';
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
