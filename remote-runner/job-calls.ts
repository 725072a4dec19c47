/** The calls about jobs, answered from and by files: any number of connections may do so while the serving process is being killed. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Calls } from '../src/protocol/calls.ts';
import { writeWithBallast } from './ballast.ts';
import { checkSpec } from './check-spec.ts';
import { readJson, writeDurably } from './durable.ts';
import { requestCancel } from './end-request.ts';
import { usableGpus } from './gpu-inventory.ts';
import { createJob, enqueue, queueEntries, readOrder, readStanding, summarize, wakeServe } from './job-files.ts';
import { waitsOf } from './line.ts';
import { existingJob, jobFolder, jobIds, type MachineFolder } from './machine-folder.ts';
import { RunnerError } from './runner-error.ts';
import { liveHolder } from './serve-lock.ts';
import type { Starter } from './start-serve.ts';
import { isTakenBack } from './taken-back.ts';
import { briskly, wakeOn } from './wake.ts';
import { overOf } from './watch-order.ts';

const lookAgainMs = 250;

/** Returns when the job is on the disk and in the queue, and somebody serves the queue. */
export async function submit(params: Calls['submit']['params'], machine: MachineFolder, serving: Starter): Promise<Calls['submit']['result']> {
  const spec = checkSpec(params.spec);
  if (existsSync(machine.shutdown)) throw new RunnerError('conflict', 'This machine is going away: it takes no more jobs.');
  if (isTakenBack(machine)) throw new RunnerError('preempted', 'The provider takes this machine back: it takes no more jobs.');
  const over = overOf(machine);
  if (over !== null && over.jobs === null) {
    const why = { deadline: 'its time is over', budget: 'its budget is used up', idle: 'nobody has used it', stalled: 'its job had stalled' }[over.why];
    const code = over.why === 'deadline' || over.why === 'budget' ? over.why : 'conflict';
    throw new RunnerError(code, `This machine is ending, as ${why}: it takes no more jobs.`);
  }
  if (spec.gpus !== null) await checkGpus(spec.gpus);
  const job = createJob(machine, spec);
  enqueue(machine, job);
  const ahead = Math.max(
    0,
    queueEntries(machine).findIndex(({ id }) => id === job.id),
  );
  wakeServe(machine);
  await serving.alive();
  return { ...summarize(job), ahead };
}

/** @throws RunnerError when the machine does not have so many, and so never will */
async function checkGpus(wanted: number): Promise<void> {
  const { gpus, problem } = await usableGpus();
  if (gpus.length >= wanted) return;
  const has = gpus.length === 0 ? 'none that answers' : `only ${gpus.length}`;
  throw new RunnerError(
    'unfit',
    `The job needs ${wanted} ${wanted === 1 ? 'GPU' : 'GPUs'}, and this machine has ${has}${problem === null ? '' : `: ${problem}`}.`,
  );
}

/** Oldest first. */
export function listJobs(machine: MachineFolder): Calls['jobs']['result'] {
  const waits = waitsOf(machine, queueEntries(machine));
  const jobs = jobIds(machine).map((id) => summarize(jobFolder(machine, id), waits.get(id)));
  return { jobs: jobs.sort((a, b) => a.createdAt - b.createdAt || a.id.localeCompare(b.id)) };
}

export async function cancel(
  params: Calls['cancel']['params'],
  machine: MachineFolder,
  serving: Starter,
  signal: AbortSignal,
): Promise<Calls['cancel']['result']> {
  const job = existingJob(machine, params.id);
  const graceMs = params.graceMs ?? readOrder(job).graceMs;
  if (!(Number.isFinite(graceMs) && graceMs >= 0)) throw new RunnerError('bad-input', 'graceMs is not a number of milliseconds.');
  const wake = wakeOn([job.path], briskly);
  try {
    if (readStanding(job)?.state !== 'ended') {
      writeWithBallast(machine, () => {
        requestCancel(machine, job, graceMs);
        enqueue(machine, job); // a submit that was killed half-way may not have
      });
      wakeServe(machine);
      await serving.alive();
    }
    while (readStanding(job)?.state !== 'ended' && !signal.aborted) {
      serving.ensure();
      await wake.wait(lookAgainMs, signal);
    }
    return summarize(job);
  } finally {
    wake.close();
  }
}

/** The serving process ends all jobs, and then itself. For good: from now on nothing is started in this folder. */
export async function shutDown(
  params: Calls['shutdown']['params'],
  machine: MachineFolder,
  serving: Starter,
  watching: Starter,
  signal: AbortSignal,
): Promise<Calls['shutdown']['result']> {
  if (!(Number.isFinite(params.graceMs) && params.graceMs >= 0)) throw new RunnerError('bad-input', 'graceMs is not a number of milliseconds.');
  const asked = readJson<{ graceMs: number }>(machine.shutdown);
  if (asked === null || asked.graceMs > params.graceMs)
    writeWithBallast(machine, () => writeDurably(machine.shutdown, JSON.stringify({ graceMs: params.graceMs })));
  while (!signal.aborted) {
    // One that is just starting would write into a folder that our client removes as soon as this call has ended.
    const served = serving.started || liveHolder(machine.lock) !== null;
    const watched = watching.started || liveHolder(machine.watchLock) !== null;
    if (!served && !watched && queueEntries(machine).length === 0) break;
    if (!served) serving.start();
    await sleep(20);
  }
  return {};
}
