/** `sync NAME`, and the first half of `train`: code and data to the machine, what changed and nothing else. */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { SyncSettings } from '../config/settings.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { checkpointFolder } from '../protocol/checkpoint-folder.ts';
import { globalExcludesFile, hasTracked } from '../sync/git.ts';
import { type Preparing, type ProjectSpec, prepareProject } from '../sync/push.ts';
import type { RunContext } from './context.ts';
import { fetchedPlaces, refuseFetched } from './fetch-data.ts';
import { mayHaveLink, pushByLink } from './link-push.ts';
import { type PlainMachine, reachOrPlain } from './plain-machine.ts';
import { type AskedPush, type PushSurroundings, pushOnce, type SyncTotals, told, warnOfSurprise } from './push-once.ts';
import type { ReachedMachine } from './reach-machine.ts';
import { besideRecovery } from './recover.ts';

/** As `gpu-run report --html` names them where nobody names them. */
const reportPages = 'report-job-????????-??????.html';

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
  const machine = context.ledger.list({ name: input.name, live: true })[0];
  const pushed = machine === undefined ? null : await pushByLink(machine, () => askedPush(input, context), context);
  if (pushed !== null) return pushed;
  using reading = readAhead(input, null, context);
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
    onSurprise: (surprise) => warnOfSurprise(surprise, input.sizeMeant === true, context),
  });
  return told({ ...totals, via: plain.peer.method }, warnings, context);
}

interface Reading extends Disposable {
  readonly preparing: Preparing;
}

/**
 * Reads code and data while a connection is made: after its first steps, which then wait for the network. Disposed, it reads no further.
 * `machine`: where it has a link, that knows them, and they are read only when they are asked for.
 */
export function readAhead(input: Omit<PushInput, 'name'>, machine: MachineEntry | null, context: RunContext): Reading {
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, over.signal]);
  let reading: Preparing | null = null;
  const read = () => {
    reading ??= yieldToOthers().then(() => prepareProject(projectOf(input, context), context.home.sync, signal));
    reading.catch(() => {}); // the push hears of it
    return reading;
  };
  if (machine === null || !mayHaveLink(machine, context)) read();
  return {
    get preparing() {
      return read();
    },
    [Symbol.dispose]: () => over.abort(),
  };
}

/** @throws GpuRunError `bad-input`, `sync`, `disk-full`, `conflict`, `connection`; what could not be read is named before anything is sent */
export async function pushAll(reached: ReachedMachine, input: Omit<PushInput, 'name'>, context: RunContext, reading: Reading): Promise<SyncTotals> {
  const pushed = await pushByLink(reached.machine, () => askedPush(input, context), context);
  if (pushed !== null) return pushed;
  context.reporter.report({ type: 'phase', phase: 'sync', status: 'begin', text: `Syncing to '${reached.machine.name}'` });
  const asked = { ...surroundingsOf(input), preparing: reading.preparing };
  const { unchanged: _, ...totals } = await pushOnce(reached, asked, context);
  return totals;
}

/** For who knows the trees. Asks git; holds until something else is tracked there. */
export function askedPush(input: Omit<PushInput, 'name'>, context: Pick<RunContext, 'home'>): AskedPush {
  return { ...surroundingsOf(input), project: projectOf(input, context) };
}

function surroundingsOf(input: Omit<PushInput, 'name'>): PushSurroundings {
  return { outputs: outputsOf(input), sizeMeant: input.sizeMeant === true, sync: input.sync };
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

/** A path as a gitignore pattern that means this path alone. */
function escapePattern(path: string): string {
  return path.replace(/[\\*?[\]!# ]/g, '\\$&');
}
