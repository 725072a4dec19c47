/** Checkpoints on their way to the next attempt of a job, or, where there is none, to the user. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { JobEntry } from '../core/job.ts';
import { checkpointFolder } from '../protocol/checkpoint-folder.ts';
import { checkpointSource, isWithin } from '../protocol/sync.ts';
import { placeSnapshot } from '../sync/place-snapshot.ts';
import { pushTree } from '../sync/push.ts';
import { checkpointStore } from './checkpoint-store.ts';
import type { RunContext } from './context.ts';
import { copiedRecords } from './job-copy.ts';
import type { ReachedMachine } from './reach-machine.ts';
import type { TrainInput } from './train-input.ts';

type Checkpointed = Pick<TrainInput, 'retry' | 'outputs'>;

/** Relative to the workdir. Jobs that may run side by side have one each: all of them keep it, wherever the next attempt is. */
export function checkpointsOf({ retry, outputs }: Checkpointed, { checkpoints }: Pick<JobEntry, 'checkpoints'>): string {
  return checkpoints ?? retry.resumeFrom ?? checkpointFolder(outputs);
}

/** They are pulled like all the job's outputs. */
export function areOutputs(input: Checkpointed, job: Pick<JobEntry, 'checkpoints'>): boolean {
  const folder = checkpointsOf(input, job);
  return input.outputs.some((output) => isWithin(folder, output.replace(/\/+$/, '')));
}

/**
 * Brings what is here of the job's checkpoints to the machine of its next attempt. Where that is the machine of the attempt before, they are
 * there, if it made any. Returns where to resume from, relative to the workdir; null: from the start.
 */
export async function bringCheckpoints(before: JobEntry | null, input: Checkpointed, reached: ReachedMachine, context: RunContext): Promise<string | null> {
  if (before === null) return null;
  const folder = checkpointsOf(input, before);
  // What others have left there is not this job's work.
  if (before.machineId === reached.machine.id) return hasCheckpoints(before, context) ? folder : null;
  const newest = checkpointStore(context.home.jobs, before.id).newest();
  const from = newest === null ? null : join(newest, folder);
  if (from === null || !existsSync(from)) return null;
  const { reporter, signal } = context;
  reporter.report({ type: 'phase', phase: 'sync', status: 'begin', text: 'Sending checkpoints' });
  const { bytes } = await pushTree(
    { from, to: folder, source: checkpointSource, ignore: null, never: [], others: [] },
    {
      open: (op, params) => reached.runner.open(op, params),
      cacheFolder: newest ?? from, // goes with it
      outputs: [],
      signal,
      onProgress: (done, total) => reporter.report({ type: 'progress', phase: 'sync', done, total, unit: 'bytes' }),
    },
  );
  reporter.report({ type: 'phase', phase: 'sync', status: 'end', text: `Sent ${bytes} bytes of checkpoints` });
  return folder;
}

function hasCheckpoints({ id }: JobEntry, { home }: RunContext): boolean {
  for (const { type } of copiedRecords(home.jobs, id)) if (type === 'checkpoint') return true;
  return false;
}

/** Puts what is here of them among the job's outputs in the project, where they belong there: what is equal need not be pulled again. */
export async function handOverCheckpoints(job: JobEntry, input: Checkpointed & Pick<TrainInput, 'folder'>, { home, signal }: RunContext): Promise<boolean> {
  const folder = checkpointsOf(input, job);
  const newest = checkpointStore(home.jobs, job.id).newest();
  if (newest === null || !areOutputs(input, job)) return false;
  await placeSnapshot(newest, folder, input.folder, signal);
  return true;
}
