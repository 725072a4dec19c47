/**
 * Checkpoints of a job whose machine goes down behind it, where no outputs are named that would bring them: fetched at its end, to where those that come
 * while a job runs are kept.
 */
import { existsSync, linkSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { JobEntry } from '../core/job.ts';
import { formatSize } from '../core/size.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { type PullItem, parentOf } from '../protocol/sync.ts';
import { listOutputs, pullOutputs } from '../sync/pull.ts';
import { checkpointStore } from './checkpoint-store.ts';
import type { RunContext } from './context.ts';
import { countPulled } from './cost-egress.ts';
import { bringHome, type Made, rescue } from './fetch-outputs.ts';
import type { ReachedMachine } from './reach-machine.ts';
import { checkpointsOf, hasCheckpoints } from './resume-job.ts';
import type { TrainInput } from './train-input.ts';
import type { Watched } from './watch-events.ts';

type Saving = Pick<Watched, 'hasSaved'>;

/** An explicit `retry.resume-from` says that they are for that alone. Of a job that was cancelled, or whose machine stays, none are fetched. */
export function bringsCheckpoints(input: TrainInput, { end }: Pick<JobEntry, 'end'>, { forOneJob }: Pick<MachineEntry, 'forOneJob'>): boolean {
  if (input.outputs.length > 0 || input.retry.resumeFrom !== null || input.teardown !== 'auto' || !forOneJob) return false;
  if (end === null || end.reason === 'cancelled') return false;
  return end.code === 0 || end.reason === 'preempted' || !input.keepOnFailure;
}

/** Nothing, where there are none to be brought; from a machine that is taken back as far as it goes. @throws as `fetchOutputs` */
export async function fetchLastCheckpoints(job: JobEntry, input: TrainInput, machine: MachineEntry, watched: Saving, context: RunContext): Promise<void> {
  if (!isDue(job, input, machine, watched, context)) return;
  if (job.end?.reason === 'preempted') await rescue(lastOf(job, input), machine, context);
  else await bringHome(lastOf(job, input), job, machine, context);
}

/** Of a job that was interrupted: as far as it goes. */
export async function rescueLastCheckpoints(job: JobEntry, input: TrainInput, machine: MachineEntry, watched: Saving, context: RunContext): Promise<void> {
  if (isDue(job, input, machine, watched, context)) await rescue(lastOf(job, input), machine, context);
}

function isDue(job: JobEntry, input: TrainInput, machine: MachineEntry, watched: Saving, context: RunContext): boolean {
  return bringsCheckpoints(input, job, machine) && (watched.hasSaved() || hasCheckpoints(job, context));
}

function lastOf(job: JobEntry, input: TrainInput): Made<void> {
  return { what: 'checkpoints', paths: [checkpointsOf(input, job)], pull: (reached, context) => pullLast(job, input, reached, context) };
}

/** What is here of them does not travel again, nor what had come when it was broken off. */
async function pullLast(job: JobEntry, input: TrainInput, { machine, runner }: ReachedMachine, { home, ledger, reporter, signal }: RunContext): Promise<void> {
  const store = checkpointStore(home.jobs, job.id);
  const folder = checkpointsOf(input, job);
  using counted = countPulled(machine, job.id, { ledger });
  reporter.report({ type: 'phase', phase: 'outputs', status: 'begin', text: 'Pulling checkpoints, which no outputs bring' });
  mkdirSync(store.last, { recursive: true, mode: 0o700 });
  const newest = store.newest();
  if (newest !== null && existsSync(join(newest, folder))) linkTree(join(newest, folder), join(store.last, folder));
  const asked = { open: (op: string, params: unknown) => runner.open(op, params), paths: [folder], pushedToo: true, signal };
  keepOnly(store.last, await listOutputs(asked));
  const files = await pullOutputs({
    ...asked,
    into: store.last,
    onProgress: (done, total) => reporter.report({ type: 'progress', phase: 'outputs', done, total, unit: 'bytes' }),
    onReceived: counted.add,
    onWarning: (text) => reporter.report({ type: 'note', level: 'warn', text }),
  });
  if (files.length > 0) store.keepLast();
  else store.drop(store.last);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  reporter.report({ type: 'phase', phase: 'outputs', status: 'end', text: `Pulled checkpoints (${formatSize(bytes)})` });
}

/** Files are replaced by renaming, never written to: a second name costs neither time nor room. What can't have one travels again. */
function linkTree(from: string, to: string): void {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [old, own] = [join(from, entry.name), join(to, entry.name)];
    try {
      mkdirSync(to, { recursive: true, mode: 0o700 });
      if (entry.isFile()) linkSync(old, own);
      else if (entry.isDirectory()) linkTree(old, own);
    } catch {
      // It was there, or something else is in its place.
    }
  }
}

/** What lay there before, and is no more, was thrown away by the job; a folder that is a file by now would be in its way. No link is followed: what it leads to is looked at where it lies. */
function keepOnly(top: string, items: readonly PullItem[]): void {
  const kinds = new Map<string, PullItem['kind']>();
  for (const { path, kind } of items) {
    kinds.set(path, kind);
    for (let above = parentOf(path); above !== ''; above = parentOf(above)) kinds.set(above, 'dir');
  }
  const clear = (below: string) => {
    for (const entry of readdirSync(join(top, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      const kind = entry.isDirectory() ? 'dir' : entry.isSymbolicLink() ? 'link' : 'file';
      if (kinds.get(path) !== kind) rmSync(join(top, path), { recursive: true, force: true, maxRetries: 3 });
      else if (kind === 'dir') clear(path);
    }
  };
  clear('');
}
