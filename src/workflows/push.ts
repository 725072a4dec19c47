/** `sync NAME`, and the first half of `train`: code and data to the machine, what changed and nothing else. */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { SyncSettings } from '../config/settings.ts';
import { jobIdOf } from '../core/job.ts';
import type { Reporter } from '../core/reporter.ts';
import { checkpointFolder } from '../protocol/checkpoint-folder.ts';
import { globalExcludesFile, hasTracked } from '../sync/git.ts';
import { type Preparing, type ProjectSpec, prepareProject, pushPrepared } from '../sync/push.ts';
import { type Surprise, surpriseText } from '../sync/surprise.ts';
import type { RunContext } from './context.ts';
import { fetchedPlaces, fetchWanted, refuseFetched, removeOldFetched } from './fetch-data.ts';
import { type PlainMachine, reachOrPlain } from './plain-machine.ts';
import type { ReachedMachine } from './reach-machine.ts';
import { besideRecovery } from './recover.ts';

/** As `gpu-run report --html` names them where nobody names them. */
const reportPages = 'report-job-????????-??????.html';

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

export interface PushInput {
  readonly name: string;
  readonly sync: SyncSettings;
  /** Relative to the workdir; a push neither sends them nor touches what is there. Nor does it touch what a job has written to its checkpoints. */
  readonly outputs: readonly string[];
  /** What the config says of hosts of the user's own, by provider. Absent: nothing. */
  readonly hosts?: Readonly<Record<string, unknown>>;
  /** However much it is: nobody has to be warned. Absent: false. */
  readonly sizeMeant?: boolean;
}

export async function push(input: PushInput, context: RunContext): Promise<SyncTotals> {
  return await besideRecovery(context, () => pushTo(input, context));
}

async function pushTo(input: PushInput, context: RunContext): Promise<SyncTotals> {
  using reading = readAhead(input, context);
  return await reachOrPlain(input, context, {
    withRunner: (reached) => pushAll(reached, input, context, reading),
    without: (plain) => pushPlain(plain, input, context),
  });
}

async function pushPlain(plain: PlainMachine, input: PushInput, context: RunContext): Promise<SyncTotals> {
  const { reporter, signal } = context;
  refuseFetched(input.sync, plain.name);
  reporter.report({ type: 'phase', phase: 'sync', status: 'begin', text: `Syncing to '${plain.name}' by ${plain.peer.method}` });
  const { pushPlainly } = await import('../sync/plain-push.ts');
  const { warnings, ...totals } = await pushPlainly(projectOf(input, context), {
    ...plain,
    outputs: outputsOf(input),
    signal,
    onProgress: (done, total) => reporter.report({ type: 'progress', phase: 'sync', done, total, unit: 'bytes' }),
    onSurprise: (surprise) => warnOf(surprise, input, context),
  });
  return told({ ...totals, via: plain.peer.method }, warnings, context);
}

function warnOf(surprise: Surprise, { sizeMeant }: Pick<PushInput, 'sizeMeant'>, { reporter }: RunContext): void {
  if (sizeMeant !== true) reporter.report({ type: 'note', level: 'warn', text: surpriseText(surprise, 'is sent now') });
}

function told(totals: SyncTotals, warnings: readonly string[], { reporter }: RunContext): SyncTotals {
  for (const text of warnings) reporter.report({ type: 'note', level: 'warn', text });
  reporter.report({ type: 'phase', phase: 'sync', status: 'end', text: `Synced ${totals.files} ${totals.files === 1 ? 'file' : 'files'}` });
  return totals;
}

/** Reads code and data while a connection is made: after its first steps, which then wait for the network. Disposed, it reads no further. */
export function readAhead(input: Omit<PushInput, 'name'>, context: RunContext): Disposable & { readonly preparing: Preparing } {
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, over.signal]);
  const preparing = yieldToOthers().then(() => prepareProject(projectOf(input, context), context.home.sync, signal));
  preparing.catch(() => {}); // the push hears of it
  return { preparing, [Symbol.dispose]: () => over.abort() };
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

/** @throws GpuRunError `bad-input`, `sync`, `disk-full`, `conflict`, `connection`; what could not be read is named before anything is sent */
export async function pushAll(
  reached: ReachedMachine,
  input: Omit<PushInput, 'name'>,
  context: RunContext,
  { preparing }: { readonly preparing: Preparing },
): Promise<SyncTotals> {
  const { reporter, signal, home } = context;
  reporter.report({ type: 'phase', phase: 'sync', status: 'begin', text: `Syncing to '${reached.machine.name}'` });
  const outputs = outputsOf(input);
  const removed = await removeOldFetched(reached, input.sync, outputs, context);
  const { warnings, ...totals } = await pushPrepared(preparing, {
    open: (op, params) => reached.runner.open(op, params),
    cacheFolder: home.sync,
    machine: reached.machine.id,
    outputs,
    signal,
    onProgress: progressOf(reached.machine.name, reporter),
    onSurprise: (surprise) => warnOf(surprise, input, context),
  });
  told(totals, [...removed, ...warnings], context);
  const fetchedBytes = await fetchWanted(reached, input.sync, outputs, context);
  if (totals.sentBytes > 0 || (fetchedBytes ?? 0) > 0) await tellOfOthers(reached, context);
  return fetchedBytes === null ? totals : { ...totals, fetchedBytes };
}

/** What a push leaves out beside what the user's ignore files and the config name. */
export interface OwnExclude {
  readonly pattern: string;
  readonly why: string;
}

/** What was pulled from one machine is not sent to the next as if it were code; what git tracks is code. */
export function ownExcludes({ sync, outputs }: Pick<PushInput, 'sync' | 'outputs'>): readonly OwnExclude[] {
  const pulled = outputs.filter((path) => !hasTracked(sync.code, path));
  return [
    { pattern: reportPages, why: 'a report that gpu-run has written' },
    ...pulled.map((path) => ({ pattern: `/${escapePattern(path)}`, why: `${path} is an output, which is fetched and not sent` })),
  ];
}

/** The patterns of `sync.exclude` come first. */
export function projectOf(input: Pick<PushInput, 'sync' | 'outputs'>, { home }: Pick<RunContext, 'home'>): ProjectSpec {
  const { sync } = input;
  const exclude = [...sync.exclude, ...ownExcludes(input).map(({ pattern }) => pattern)];
  return { ...sync, fetched: fetchedPlaces(sync), exclude, globalExcludes: globalExcludesFile(sync.code), never: [home.root] };
}

/** What a push leaves alone on the machine: what jobs have written there. */
export function outputsOf({ outputs }: Pick<PushInput, 'outputs'>): readonly string[] {
  return [...new Set([...outputs, checkpointFolder(outputs)])];
}

/** All jobs of a machine have one workdir. Files are replaced whole, by renaming: who has one open goes on reading the old one. */
async function tellOfOthers({ runner, machine }: ReachedMachine, { reporter }: RunContext): Promise<void> {
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

/** A path as a gitignore pattern that means this path alone. */
function escapePattern(path: string): string {
  return path.replace(/[\\*?[\]!# ]/g, '\\$&');
}
