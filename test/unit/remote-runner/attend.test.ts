/** Who looks after the queue reads what has changed, and misses nothing. */
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createAttendant } from '../../../remote-runner/attend.ts';
import { requestEnd } from '../../../remote-runner/end-request.ts';
import { createJob, enqueue, queueEntries, readStanding } from '../../../remote-runner/job-files.ts';
import { type JobFolder, jobFolder, type MachineFolder, machineFolder, prepareMachineFolder } from '../../../remote-runner/machine-folder.ts';
import { specOf } from '../../support/runner.ts';

let machine: MachineFolder;
let now: number;
let attend: ReturnType<typeof createAttendant>;
beforeEach(() => {
  machine = machineFolder(mkdtempSync(join(tmpdir(), 'gpu-run-attend-')));
  prepareMachineFolder(machine);
  now = Date.now() + 3_600_000; // what is written now was written an hour ago
  attend = createAttendant(machine, () => now);
});
afterEach(() => rmSync(machine.root, { recursive: true, force: true }));

function queued(): JobFolder {
  const job = createJob(machine, specOf('true'));
  enqueue(machine, job);
  return job;
}

/** Ids that wait. */
function look(over: Parameters<typeof attend>[1] = () => null): string[] {
  now += 1_000;
  return attend(queueEntries(machine), over).waiting.map(({ id }) => id);
}

test('what has not changed is not read again for ten seconds', () => {
  const job = queued();
  writeFileSync(job.cancel, 'null');
  expect([look(), look()]).toEqual([[job.id], [job.id]]); // the first look writes its state
  writeFileSync(job.cancel, '{"graceMs":0}'); // nobody writes it like this: its folder does not change
  for (let second = 3; second < 12; second++) expect(look()).toEqual([job.id]);
  expect(look()).toEqual([]);
  expect(readStanding(job)?.end).toMatchObject({ reason: 'cancelled' });
});

test('who has waited long is cancelled, found to be damaged, or ended with the machine at the next look', () => {
  const [cancelled, damaged, last] = [queued(), queued(), queued()];
  for (let second = 0; second < 3; second++) expect(look()).toEqual([cancelled.id, damaged.id, last.id]);
  requestEnd(machine, cancelled, { graceMs: 0 });
  expect(look()).toEqual([damaged.id, last.id]);
  writeFileSync(damaged.order, '');
  expect(look()).toEqual([last.id]);
  expect(readStanding(damaged)?.end).toMatchObject({ reason: 'not-started' });
  expect(look(() => ({ graceMs: 0, why: 'budget' }))).toEqual([]);
  expect(queueEntries(machine)).toEqual([]);
});

test('a change in the same moment as the look before it is seen', () => {
  const job = queued();
  for (let second = 0; second < 3; second++) look();
  const touched = new Date(now + 1_000); // the time that the file system has at the next look, and after it
  utimesSync(job.path, touched, touched);
  expect(look()).toEqual([job.id]);
  requestEnd(machine, job, { graceMs: 0 });
  utimesSync(job.path, touched, touched);
  expect(look()).toEqual([]);
});

test('who has begun is told from who waits', () => {
  const [begun, waits] = [queued(), queued()];
  look();
  writeFileSync(jobFolder(machine, begun.id).grant, JSON.stringify({ gpus: null, setup: null }));
  now += 1_000;
  const seen = attend(queueEntries(machine), () => null);
  expect([seen.begun.map(({ id }) => id), seen.waiting.map(({ id }) => id)]).toEqual([[begun.id], [waits.id]]);
});
