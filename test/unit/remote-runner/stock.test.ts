/** GPUs that processes still use which could not be ended are not given to others. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeGrant } from '../../../remote-runner/grant.ts';
import { cookieName } from '../../../remote-runner/job-env.ts';
import { createJob } from '../../../remote-runner/job-files.ts';
import { type MachineFolder, machineFolder, prepareMachineFolder } from '../../../remote-runner/machine-folder.ts';
import { stockOf } from '../../../remote-runner/stock.ts';
import { specOf } from '../../support/runner.ts';

let machine: MachineFolder;
beforeEach(() => {
  machine = machineFolder(mkdtempSync(join(tmpdir(), 'gpu-run-stock-')));
  prepareMachineFolder(machine);
});
afterEach(() => rmSync(machine.root, { recursive: true, force: true }));

const gpus = [0, 1].map((index) => ({ index, uuid: `GPU-${index}`, name: 'NVIDIA L4' }));
const report = { gpus, problem: null, trouble: null } as never;

test.skipIf(!existsSync('/proc/self/environ')).each([
  ['some GPUs', [gpus[1]], ['GPU-1']],
  ['the machine to itself', null, ['GPU-0', 'GPU-1']],
])('processes of a job that had %s', async (_, given, taken) => {
  const job = createJob(machine, specOf('true', { name: 'job-a' }));
  writeGrant(machine, job, { gpus: given as typeof gpus | null, setup: null });
  const left = spawn('sleep', ['60'], { env: { ...process.env, [cookieName]: job.id } });
  await once(left, 'spawn');
  const holding = { id: job.id, name: 'job-a', gpus: given as typeof gpus | null, inSetup: false };
  try {
    expect(stockOf(machine, { report }, [holding])?.stuck()).toEqual(new Map()); // it runs
    expect(stockOf(machine, { report }, [])?.stuck()).toEqual(new Map(taken.map((uuid) => [uuid, 'job-a'])));
  } finally {
    left.kill('SIGKILL');
    await once(left, 'exit');
  }
  expect(stockOf(machine, { report }, [])?.stuck()).toEqual(new Map());
  expect(stockOf(machine, { report: null }, [])).toBeNull();
});
