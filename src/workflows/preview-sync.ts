/** `sync --dry-run`: what would be sent, deleted and skipped, and why. */
import { shownUrl } from '../protocol/fetch.ts';
import { previewProject, type SourcePreview } from '../sync/dry-run.ts';
import type { SkipReason } from '../sync/skipped.ts';
import { findSurprises, ignoreLine, type Surprise, surpriseText } from '../sync/surprise.ts';
import type { RunContext } from './context.ts';
import { reachOrPlain } from './plain-machine.ts';
import { outputsOf, ownExcludes, type PushInput, projectOf } from './push.ts';
import type { SyncTotals } from './push-once.ts';
import type { ReachedMachine } from './reach-machine.ts';

export interface SyncPreview {
  /** Whom it was compared with; null: no machine of that name is up, so that all of it would be sent. */
  readonly machine: string | null;
  /** The code, then the data. */
  readonly sources: readonly SourcePreview[];
  /** What the machine would fetch by itself, as far as it has not; `from` as it may be shown. */
  readonly fetch: readonly { readonly from: string; readonly to: string }[];
  /** Of the code that would be sent. */
  readonly surprises: readonly (Surprise & { readonly ignoreLine: string })[];
}

/** Asks a machine that is up; its files stay as they are. @throws GpuRunError as `push` */
export async function previewSync(input: PushInput, context: RunContext): Promise<SyncPreview> {
  return await reachOrPlain(input, context, {
    withNobody: async () => tell(input, null, await localPreview(input, null, context), context),
    withRunner: async (reached) => tell(input, reached.machine.name, await localPreview(input, reached, context), context),
    without: async (plain) => {
      const { previewPlainly } = await import('../sync/plain-preview.ts');
      const sources = await previewPlainly(projectOf(input, context), { ...plain, outputs: outputsOf(input), signal: context.signal });
      return tell(input, plain.name, sources, context);
    },
  });
}

/** How much there is. Reads no content and asks nobody. @throws GpuRunError `bad-input`, `sync` */
export async function measureSync(input: PushInput, context: RunContext): Promise<Pick<SyncTotals, 'files' | 'bytes'>> {
  const { sources } = tell(input, null, await localPreview(input, null, context, false), context);
  const sum = (key: 'files' | 'bytes') => sources.reduce((total, source) => total + source[key], 0);
  return { files: sum('files'), bytes: sum('bytes') };
}

async function localPreview(input: PushInput, reached: ReachedMachine | null, context: RunContext, listSkipped = true): Promise<readonly SourcePreview[]> {
  return await previewProject(projectOf(input, context), {
    open: reached === null ? null : (op, params) => reached.runner.open(op, params),
    cacheFolder: context.home.sync,
    outputs: outputsOf(input),
    listSkipped,
    signal: context.signal,
  });
}

function tell(input: PushInput, machine: string | null, sources: readonly SourcePreview[], { reporter }: RunContext): SyncPreview {
  const nameReason = reasonNamer(input);
  const named = sources.map((source) => ({ ...source, skipped: source.skipped.map((each) => ({ ...each, reason: nameReason(each.reason) })) }));
  const surprises = findSurprises(codeToSend(sources)).map((surprise) => ({ ...surprise, ignoreLine: ignoreLine(surprise) }));
  const texts = [
    ...sources.flatMap(({ warnings }) => warnings),
    ...(input.sizeMeant === true ? [] : surprises.map((each) => surpriseText(each, 'would be sent'))),
  ];
  for (const text of texts) reporter.report({ type: 'note', level: 'warn', text });
  const fetch = (input.sync.fetched ?? []).map(({ from, to }) => ({ from: shownUrl(from), to }));
  return { machine, sources: named, fetch, surprises };
}

function* codeToSend(sources: readonly SourcePreview[]): Generator<{ readonly path: string; readonly size: number }> {
  for (const { path, kind, bytes, how, reused } of sources.find(({ source }) => source === 'code')?.planned ?? [])
    if (kind === 'file' && !reused && how !== 'touch' && how !== 'leave') yield { path, size: bytes };
}

/** What stands in no file stands in the config, or is our own. */
function reasonNamer(input: PushInput): (reason: SkipReason) => SkipReason {
  const own = ownExcludes(input);
  const ofConfig = input.sync.exclude.flatMap((text) => text.split('\n')).length;
  return (reason) => {
    const why = reason.kind === 'pattern' && reason.file === null ? own[reason.line - 1 - ofConfig]?.why : undefined;
    return why === undefined ? reason : { kind: 'built-in', text: why };
  };
}
