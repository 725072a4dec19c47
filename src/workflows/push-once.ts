/** One push over a runner that is at hand, and what surrounds it. */
import type { SyncSettings } from '../config/settings.ts';
import { jobIdOf } from '../core/job.ts';
import type { Reporter } from '../core/reporter.ts';
import { type Preparing, type ProjectSpec, pushPrepared } from '../sync/push.ts';
import { type Surprise, surpriseText } from '../sync/surprise.ts';
import type { RunContext } from './context.ts';
import { fetchWanted, removeOldFetched } from './fetch-data.ts';
import type { PlainMachine } from './plain-machine.ts';
import type { ReachedMachine } from './reach-machine.ts';

export interface SyncTotals {
  readonly files: number;
  readonly bytes: number;
  /** File content that travelled. */
  readonly sentBytes: number;
  readonly ms: number;
  /** Absent: by the runner. */
  readonly via?: PlainMachine['peer']['method'];
  /** What the machine has fetched by itself; absent: nothing was to be fetched. */
  readonly fetchedBytes?: number;
}

/** Goes to a link as JSON. */
export interface PushSurroundings {
  /** Relative to the workdir: what jobs have written there is left alone. */
  readonly outputs: readonly string[];
  /** However much it is: nobody has to be warned. */
  readonly sizeMeant: boolean;
  readonly sync: SyncSettings;
}

export interface AskedPush extends PushSurroundings {
  readonly project: ProjectSpec;
}

export interface PreparedPush extends PushSurroundings {
  readonly preparing: Preparing;
  /** More pushes of it follow over this connection. Absent: false. */
  readonly live?: boolean;
}

type Target = Pick<ReachedMachine, 'runner' | 'machine'>;
type Around = Pick<RunContext, 'reporter' | 'signal' | 'home'>;

/** @throws GpuRunError as `pushAll` */
export async function pushOnce(reached: Target, push: PreparedPush, context: Around): Promise<SyncTotals & { readonly unchanged: boolean }> {
  const { reporter, signal, home } = context;
  const { outputs, sync, sizeMeant, live = false } = push;
  const removed = await removeOldFetched(reached, sync, outputs, context);
  const { warnings, ...totals } = await pushPrepared(push.preparing, {
    open: (op, params) => reached.runner.open(op, params),
    cacheFolder: home.sync,
    machine: reached.machine.id,
    outputs,
    signal,
    live,
    onProgress: progressOf(reached.machine.name, reporter),
    onSurprise: (surprise) => warnOfSurprise(surprise, sizeMeant, context),
  });
  told(totals, [...removed, ...warnings], context);
  const fetchedBytes = await fetchWanted(reached, sync, outputs, context);
  if (totals.sentBytes > 0 || (fetchedBytes ?? 0) > 0) await tellOfOthers(reached, context);
  return fetchedBytes === null ? totals : { ...totals, fetchedBytes };
}

/** Each source of data is a phase of its own: how much of it has to travel is known only when it is its turn. */
function progressOf(name: string, reporter: Reporter): (done: number, total: number, target: string) => void {
  let shown = '';
  return (done, total, target) => {
    if (target !== shown && total > 0) {
      shown = target;
      reporter.report({ type: 'phase', phase: 'sync', status: 'begin', text: `Syncing ${target} to '${name}'` });
    }
    reporter.report({ type: 'progress', phase: 'sync', done, total, unit: 'bytes' });
  };
}

export function told<T extends SyncTotals>(totals: T, warnings: readonly string[], { reporter }: Pick<RunContext, 'reporter'>): T {
  for (const text of warnings) reporter.report({ type: 'note', level: 'warn', text });
  reporter.report({ type: 'phase', phase: 'sync', status: 'end', text: `Synced ${totals.files} ${totals.files === 1 ? 'file' : 'files'}` });
  return totals;
}

export function warnOfSurprise(surprise: Surprise, sizeMeant: boolean, { reporter }: Pick<RunContext, 'reporter'>): void {
  if (!sizeMeant) reporter.report({ type: 'note', level: 'warn', text: surpriseText(surprise, 'is sent now') });
}

/** All jobs of a machine have one workdir. Files are replaced whole, by renaming: who has one open goes on reading the old one. */
async function tellOfOthers({ runner, machine }: Target, { reporter }: Around): Promise<void> {
  const { jobs } = await runner.call('jobs', {});
  const ids = (isOne: (state: string) => boolean) => jobs.filter(({ state }) => isOne(state)).map(({ id }) => jobIdOf(id));
  const waiting = ids((state) => state === 'queued');
  const running = ids((state) => state !== 'queued' && state !== 'ended');
  if (running.length > 0) {
    const text = `Files changed under ${list(running)}, which ${running.length === 1 ? 'runs' : 'run'} in the same folder of '${machine.name}': what ${running.length === 1 ? 'it opens' : 'they open'} from now on is new`;
    reporter.report({ type: 'note', level: 'warn', text });
  }
  if (waiting.length > 0)
    reporter.report({
      type: 'note',
      level: 'warn',
      text: `${list(waiting)}, which ${waiting.length === 1 ? 'waits' : 'wait'} there, will run with the files that were sent now`,
    });
}

function list(ids: readonly string[]): string {
  return ids.length > 3 ? `${ids.slice(0, 3).join(', ')} and ${ids.length - 3} more` : ids.join(', ');
}
