/**
 * The serving process: one a machine, detached, owns the queue, and runs jobs one after the other, or side by side where each takes
 * some GPUs only. All it knows lies in files, so that it can be killed at any moment and started again: the jobs go on meanwhile.
 */
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAttendant } from './attend.ts';
import { setBallast, writeWithBallast } from './ballast.ts';
import { readJson } from './durable.ts';
import { type EndRequest, endRequest, requestEnd } from './end-request.ts';
import { type QueueEntry, queueEntries } from './job-files.ts';
import { mendLeftovers } from './leftovers.ts';
import { createLine } from './line.ts';
import { jobFolder, type MachineFolder } from './machine-folder.ts';
import { type ProviderWatch, watchProvider } from './provider-watch.ts';
import { createSampler } from './sampler.ts';
import { takeServeLock } from './serve-lock.ts';
import { createStarter } from './start-serve.ts';
import { type Surroundings, superviseJob } from './supervise.ts';
import { isTakenBack, noteTakenBack, takenBackGraceMs } from './taken-back.ts';
import { calmly, wakeOn } from './wake.ts';
import { type Over, overOf, warningsOf } from './watch-order.ts';

/** What changes is heard of. This is for a watchdog that has died, and for whatever was missed. */
const lookAgainMs = 5_000;
/** While jobs wait: their turn may depend on how far others have come, and on the driver. */
const lookAtWaitingMs = 1_000;
const afterFailureMs = 1_000;
const mendEveryMs = 60_000;

export interface ShutdownRequest {
  readonly graceMs: number;
}

/**
 * Resolves when the machine is going away and no job is left, when another process serves, or when the folder has vanished.
 * `complain` gets what went wrong and will be tried again.
 */
export async function serve(machine: MachineFolder, script: string, version: string, complain: (text: string) => void): Promise<void> {
  if (!existsSync(machine.lock)) return; // made by the connection that started us: the machine is gone again
  const lock = takeServeLock(machine.lock, version);
  if (lock === null) return;
  setBallast(machine);
  const wake = wakeOn([machine.queue, machine.root], calmly);
  const running = new Set<string>();
  const attend = createAttendant(machine);
  const line = createLine(machine, wake.poke);
  let takenBack = isTakenBack(machine);
  const onTakenBack = () => {
    takenBack = true; // what can't be written down is true all the same
    wake.poke();
    void orComplain('the machine is taken back', () => noteTakenBack(machine));
  };
  const watch = watchProvider({ env: process.env, root: '/', onTakenBack });
  const watchdog = createStarter(machine, 'watch', script, version, false);
  let warnings: Readonly<Record<string, string>> = {};
  let knownWarnings = '';
  const listeners = new Set<() => void>();
  const around: Surroundings = {
    warnings: (id) => [...(watch?.warnings() ?? []), ...(warnings[id] === undefined ? [] : [warnings[id]])],
    listen: (onWarnings) => {
      listeners.add(onWarnings);
      return () => listeners.delete(onWarnings);
    },
    isTakenBack: async () => takenBack || (await watch?.isTakenBack()) === true,
    sampler: createSampler(machine, script),
  };
  const stopWatching = watch === null ? () => {} : outliveShutdown(watch);
  let mendedAt = 0;

  /** Whatever goes wrong (a full disk?): what was begun is taken up again from the files. */
  const orComplain = async (what: string, work: () => unknown) => {
    try {
      await work();
    } catch (error) {
      complain(`${new Date().toISOString()} ${what}: ${error instanceof Error ? error.stack : String(error)}\n`);
      await sleep(afterFailureMs);
    }
  };
  const run = async ({ id, file }: QueueEntry) => {
    running.add(id);
    await orComplain(id, async () => {
      await superviseJob(machine, jobFolder(machine, id), around);
      rmSync(file, { force: true });
    });
    running.delete(id);
    wake.poke();
  };
  const mend = () => {
    if (Date.now() - mendedAt < mendEveryMs) return;
    mendedAt = Date.now();
    writeWithBallast(machine, () => mendLeftovers(machine));
  };
  const lookAtWarnings = () => {
    warnings = warningsOf(machine);
    const text = JSON.stringify([warnings, watch?.warnings()]);
    if (text !== knownWarnings) for (const tell of listeners) tell();
    knownWarnings = text;
  };
  const look = async () => {
    const leaving = readJson<ShutdownRequest>(machine.shutdown);
    watchdog.ensure(() => existsSync(machine.armed));
    lookAtWarnings();
    const watchdogs = overOf(machine);
    const overFor = (id: string): EndRequest | null => (takenBack ? { graceMs: takenBackGraceMs, why: 'preempted' } : (leaving ?? watchdogsEnd(watchdogs, id)));
    for (const id of running) {
      const over = leaving ?? overFor(id);
      if (over !== null) endWithin(machine, id, over);
    }
    const { begun, waiting } = attend(
      queueEntries(machine).filter(({ id }) => !running.has(id)),
      overFor,
    );
    for (const entry of begun) void run(entry);
    for (const entry of line.next(waiting, running)) void run(entry);
    if (running.size === 0 && waiting.length === 0 && leaving !== null) return false;
    await wake.wait(waiting.length > 0 ? lookAtWaitingMs : lookAgainMs);
    return true;
  };

  let goOn = true;
  while (goOn && lock.stillOurs()) {
    await orComplain('leftovers', mend);
    await orComplain('the queue', async () => {
      goOn = await look();
    });
  }
  stopWatching();
  wake.close();
  while (!goOn && watchdog.started) await sleep(20); // it goes, too, and must not be left behind
}

/**
 * A machine that is taken back goes down within seconds, and its system ends all processes at once: ours stays until it has
 * written down how the job ended. Any other SIGTERM ends it as ever.
 */
function outliveShutdown(watch: ProviderWatch): () => void {
  const onTerm = async () => {
    if (!(await watch.isTakenBack())) process.exit(143);
  };
  process.on('SIGTERM', onTerm);
  return () => {
    process.off('SIGTERM', onTerm);
    watch.close();
  };
}

/** null: the job goes on; also on a machine that was idle, which it is no longer. */
function watchdogsEnd(over: Over | null, id: string): EndRequest | null {
  if (over === null || over.why === 'idle' || over.jobs?.includes(id) === false) return null;
  return { graceMs: over.graceMs, why: over.why };
}

function endWithin(machine: MachineFolder, id: string, request: EndRequest): void {
  const job = jobFolder(machine, id);
  const asked = endRequest(job);
  if (asked === null || asked.graceMs > request.graceMs) requestEnd(machine, job, request);
}
