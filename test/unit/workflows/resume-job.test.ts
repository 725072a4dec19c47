/** Which checkpoints a job goes on from. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { JobEntry, JobRecord } from '../../../src/core/job.ts';
import { pullOutputs } from '../../../src/sync/pull.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { openCopy } from '../../../src/workflows/open-copy.ts';
import type { ReachedMachine } from '../../../src/workflows/reach-machine.ts';
import { bringCheckpoints } from '../../../src/workflows/resume-job.ts';
import { buildRunner, createMachine } from '../../support/runner.ts';
import { createFakeContext } from './fake-context.ts';

test('on the machine of the attempt before: from what the job has made there, and not from what others have left', async () => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const input = { outputs: ['out/'], retry: { on: ['lost'], attempts: 2, resumeFrom: null } } as const;
  const before = { id: 'job-1', machineId: 'm-1' } as JobEntry;
  const bring = () => bringCheckpoints(before, before, input, { machine: { id: 'm-1' } } as ReachedMachine, fake.context);
  expect(await bring()).toBeNull();
  const copy = openCopy(before.id, fake.context);
  const record: JobRecord = { type: 'checkpoint', n: 1, t: 0, path: 'out/checkpoints/last', bytes: 1, beganAt: 0, endedAt: 0 };
  copy.keep((files) => files.writeRecords([record]));
  copy.close();
  expect(await bring()).toBe('out/checkpoints');
});

test('from a folder of this computer: each job has what was sent for it, and it is fetched like what it makes itself', async () => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-start-'));
  try {
    await using machine = createMachine(buildRunner(join(folder, 'runner')));
    const runner = await machine.connect();
    const startFrom = join(folder, 'here');
    mkdirSync(join(startFrom, 'epoch-2'), { recursive: true });
    mkdirSync(join(startFrom, 'job-20261121-k3v9xq/epoch-7'), { recursive: true }); // pulled from another one, and no part of it
    writeFileSync(join(startFrom, 'job-20261121-k3v9xq/epoch-7/model.pt'), 'of others');
    const reached = { machine: { id: 'm-1' }, runner } as unknown as ReachedMachine;
    const job = (id: string) => ({ id, machineId: 'm-1', checkpoints: `out/checkpoints/${id}` }) as JobEntry;
    const input = { outputs: ['out/'], retry: { on: ['lost'], attempts: 2, resumeFrom: null }, startFrom } as const;
    const ofOthers = join(machine.workdir, 'out/checkpoints/epoch-2/model.pt'); // one that runs may be writing it
    mkdirSync(dirname(ofOthers), { recursive: true });
    writeFileSync(ofOthers, 'of others');
    writeFileSync(join(startFrom, 'epoch-2/model.pt'), 'first');
    expect(await bringCheckpoints(null, job('job-1'), input, reached, fake.context)).toBe('out/checkpoints/job-1');
    const leftOut = expect.stringMatching(/^job-20261121-k3v9xq in .* is the folder of another job and is left out\./);
    expect(fake.reports).toContainEqual({ type: 'note', level: 'warn', text: leftOut });
    writeFileSync(join(startFrom, 'epoch-2/model.pt'), 'second');
    expect(await bringCheckpoints(job('job-2'), job('job-2'), input, reached, fake.context)).toBe('out/checkpoints/job-2'); // it had made none
    const there = (id: string) => readFileSync(join(machine.workdir, `out/checkpoints/${id}/epoch-2/model.pt`), 'utf8');
    expect([there('job-1'), there('job-2')]).toEqual(['first', 'second']);
    expect(readFileSync(ofOthers, 'utf8')).toBe('of others');
    const pulled = await pullOutputs({ open: (op, params) => runner.open(op, params), paths: ['out'], into: folder });
    expect(pulled.map(({ path }) => path)).toEqual(['epoch-2', 'job-1/epoch-2', 'job-2/epoch-2'].map((folder) => `out/checkpoints/${folder}/model.pt`));
    const { startFrom: _, ...none } = input;
    expect(await bringCheckpoints(null, job('job-1'), none, reached, fake.context)).toBeNull();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
