/** What the watchdog sees of the queue. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createJob, enqueue } from '../../../remote-runner/job-files.ts';
import { machineFolder, prepareMachineFolder } from '../../../remote-runner/machine-folder.ts';
import { look } from '../../../remote-runner/watch-look.ts';
import { specOf } from '../../support/runner.ts';

test('jobs that have not ended live, and run unless they wait; what can not be read may well run', () => {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-look-'));
  try {
    const machine = machineFolder(root);
    prepareMachineFolder(machine);
    const end = { code: 0, signal: null, reason: 'exit', detail: null };
    const standing = (state: string) => JSON.stringify({ state, end: state === 'ended' ? end : null, startedAt: null, endedAt: null });
    const standings = [standing('ended'), standing('running'), standing('setup'), '{"state":', standing('queued'), null];
    const jobs = standings.map((text) => {
      const job = createJob(machine, specOf('true'));
      enqueue(machine, job);
      writeFileSync(job.log, 'ten bytes.');
      if (text !== null) writeFileSync(job.standing, text);
      return job;
    });
    expect(look(machine)).toMatchObject({ jobs: 5, running: jobs.slice(1, 4).map(({ id }) => ({ id, gpus: null, written: 10 })) });
    rmSync(machine.queue, { recursive: true });
    expect(() => look(machine)).toThrow('ENOENT');
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
