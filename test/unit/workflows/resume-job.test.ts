/** Which checkpoints the next attempt of a job goes on from. */
import { expect, test } from 'vitest';
import type { JobEntry, JobRecord } from '../../../src/core/job.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { openCopy } from '../../../src/workflows/open-copy.ts';
import type { ReachedMachine } from '../../../src/workflows/reach-machine.ts';
import { bringCheckpoints } from '../../../src/workflows/resume-job.ts';
import { createFakeContext } from './fake-context.ts';

test('on the machine of the attempt before: from what the job has made there, and not from what others have left', async () => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const input = { outputs: ['out/'], retry: { on: ['lost'], attempts: 2, resumeFrom: null } } as const;
  const before = { id: 'job-1', machineId: 'm-1' } as JobEntry;
  const bring = () => bringCheckpoints(before, input, { machine: { id: 'm-1' } } as ReachedMachine, fake.context);
  expect(await bring()).toBeNull();
  const copy = openCopy(before.id, fake.context);
  const record: JobRecord = { type: 'checkpoint', n: 1, t: 0, path: 'out/checkpoints/last', bytes: 1, beganAt: 0, endedAt: 0 };
  copy.keep((files) => files.writeRecords([record]));
  copy.close();
  expect(await bring()).toBe('out/checkpoints');
});
