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
    const standings = ['{"state":"ended"}', '{"state":"running"}', '{"state":"setup"}', '{"state":', '{"state":"queued"}', null];
    const jobs = standings.map((standing) => {
      const job = createJob(machine, specOf('true'));
      enqueue(machine, job);
      writeFileSync(job.log, 'ten bytes.');
      if (standing !== null) writeFileSync(job.standing, standing);
      return job;
    });
    expect(look(machine)).toMatchObject({ jobs: 5, running: jobs.slice(1, 4).map(({ id }) => ({ id, gpus: null, written: 10 })) });
    rmSync(machine.queue, { recursive: true });
    expect(() => look(machine)).toThrow('ENOENT');
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
