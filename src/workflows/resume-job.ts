/** Checkpoints on their way to the next attempt of a job, or, where there is none, to the user. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { JobEntry } from '../core/job.ts';
import { formatSize } from '../core/size.ts';
import { checkpointFolder } from '../protocol/checkpoint-folder.ts';
import { checkpointSource, isWithin } from '../protocol/sync.ts';
import { placeSnapshot } from '../sync/place-snapshot.ts';
import { pushTree, type TreeSpec } from '../sync/push.ts';
import { checkpointStore } from './checkpoint-store.ts';
import type { RunContext } from './context.ts';
import { copiedRecords } from './job-copy.ts';
import type { ReachedMachine } from './reach-machine.ts';
import { jobFolders, leftOutText } from './start-folder.ts';
import type { TrainInput } from './train-input.ts';

type Checkpointed = Pick<TrainInput, 'retry' | 'outputs' | 'startFrom'>;
/** What tells where it saves. */
type Placed = Pick<JobEntry, 'checkpoints'>;

type Sent = Pick<TreeSpec, 'from' | 'to' | 'never'>;

/** Relative to the workdir. Jobs that may run side by side have one each: all of them keep it, wherever the next attempt is. */
export function checkpointsOf({ retry, outputs }: Checkpointed, { checkpoints }: Placed): string {
  return checkpoints ?? retry.resumeFrom ?? checkpointFolder(outputs);
}

/** What was fetched last, by its path relative to `newest`: an attempt that came to a machine with other jobs may save elsewhere than those before it. */
export function fetchedFolder(newest: string, input: Checkpointed, job: Placed): string {
  const folder = checkpointsOf(input, job);
  return existsSync(join(newest, folder)) ? folder : checkpointsOf(input, {});
}

/** They are pulled like all the job's outputs. */
export function areOutputs(input: Checkpointed, job: Placed): boolean {
  const folder = checkpointsOf(input, job);
  return input.outputs.some((output) => isWithin(folder, output.replace(/\/+$/, '')));
}

/**
 * Brings to the machine of an attempt that nobody has heard of yet what it goes on from: what is here of the job's checkpoints, or what the user
 * wants it to begin with, as long as it has made none itself. Where the machine is that of the attempt before, they are there, if it made any and
 * goes on in the same folder. In another one it does where others may have written to that: then only what was fetched is surely its own.
 * Returns where to resume from, relative to the workdir; null: from the start.
 */
export async function bringCheckpoints(
  before: JobEntry | null,
  job: Placed,
  input: Checkpointed,
  reached: ReachedMachine,
  context: RunContext,
): Promise<string | null> {
  const folder = checkpointsOf(input, job);
  const isThere = before?.machineId === reached.machine.id;
  const stays = isThere && before.checkpoints === job.checkpoints;
  if (stays && hasCheckpoints(before, context)) return folder;
  // What others have left there is not this job's work.
  const newest = before === null || stays ? null : checkpointStore(context.home.jobs, before.id).newest();
  const fetched = newest === null ? null : join(newest, fetchedFolder(newest, input, job));
  if (newest !== null && fetched !== null && existsSync(fetched)) return await send({ from: fetched, to: folder, never: [] }, newest, reached, context);
  if (isThere && !stays && hasCheckpoints(before, context)) {
    const text = `What ${before.id} has saved there was not fetched, and other jobs may have written over it: it begins ${input.startFrom === undefined ? 'anew' : `from ${input.startFrom}`}`;
    context.reporter.report({ type: 'note', level: 'warn', text });
  }
  const { startFrom } = input;
  if (startFrom === undefined) return null;
  const never = jobFolders(startFrom);
  const leftOut = leftOutText(startFrom, never);
  if (leftOut !== null) context.reporter.report({ type: 'note', level: 'warn', text: leftOut });
  return await send({ from: startFrom, to: folder, never }, context.home.sync, reached, context);
}

/** `cacheFolder`: for what is known of the files. Returns `to`. What is there and differs is put aside. */
async function send({ from, to, never }: Sent, cacheFolder: string, reached: ReachedMachine, { reporter, signal }: RunContext): Promise<string> {
  reporter.report({ type: 'phase', phase: 'sync', status: 'begin', text: 'Sending checkpoints' });
  const { bytes, warnings } = await pushTree(
    { from, to, source: `${checkpointSource}-${createHash('sha256').update(to).digest('hex').slice(0, 16)}`, ignore: null, never, others: [] },
    {
      open: (op, params) => reached.runner.open(op, params),
      cacheFolder,
      outputs: [],
      signal,
      onProgress: (done, total) => reporter.report({ type: 'progress', phase: 'sync', done, total, unit: 'bytes' }),
    },
  );
  for (const text of warnings) reporter.report({ type: 'note', level: 'warn', text });
  reporter.report({ type: 'phase', phase: 'sync', status: 'end', text: `Sent checkpoints (${formatSize(bytes)})` });
  return to;
}

/** As far as it was heard: in any of its attempts. */
export function hasCheckpoints({ id }: JobEntry, { home }: Pick<RunContext, 'home'>): boolean {
  for (const { type } of copiedRecords(home.jobs, id)) if (type === 'checkpoint') return true;
  return false;
}

/** Puts what is here of them among the job's outputs in the project, where they belong there: what is equal need not be pulled again. */
export async function handOverCheckpoints(job: JobEntry, input: Checkpointed & Pick<TrainInput, 'folder'>, { home, signal }: RunContext): Promise<boolean> {
  const newest = checkpointStore(home.jobs, job.id).newest();
  if (newest === null || !areOutputs(input, job)) return false;
  await placeSnapshot(newest, fetchedFolder(newest, input, job), input.folder, signal);
  return true;
}
