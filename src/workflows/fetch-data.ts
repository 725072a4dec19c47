/** The part of a sync that does not pass through this computer: data that the machine fetches by itself. */
import { join } from 'node:path';
import type { SyncSettings } from '../config/settings.ts';
import { GpuRunError } from '../core/errors.ts';
import { formatSize } from '../core/size.ts';
import { shownUrl } from '../protocol/fetch.ts';
import { type FetchOptions, fetchData, removeFetched } from '../sync/fetch.ts';
import type { RunContext } from './context.ts';
import type { ReachedMachine } from './reach-machine.ts';

type Target = Pick<ReachedMachine, 'runner' | 'machine'>;
type Around = Pick<RunContext, 'reporter' | 'signal' | 'home'>;

/** Workdir-relative places of it. */
export function fetchedPlaces({ fetched = [] }: SyncSettings): readonly string[] {
  return fetched.map(({ to }) => to);
}

/** Comes before a push: what has left the config goes, and makes room for what takes its place. Gives warnings. */
export async function removeOldFetched(reached: Target, sync: SyncSettings, outputs: readonly string[], context: Around): Promise<readonly string[]> {
  return await removeFetched(fetchedPlaces(sync), optionsFor(reached, outputs, context));
}

/** Comes behind a push. Gives the bytes that travelled; null: nothing is to be fetched. What is shown of the addresses is `shownUrl` alone: they may hold keys. */
export async function fetchWanted(reached: Target, { fetched = [] }: SyncSettings, outputs: readonly string[], context: Around): Promise<number | null> {
  const [first] = fetched;
  if (first === undefined) return null;
  const { reporter } = context;
  const what = fetched.length === 1 ? shownUrl(first.from) : `data from ${fetched.length} places`;
  reporter.report({ type: 'phase', phase: 'fetch', status: 'begin', text: `Fetching ${what} on the machine` });
  const { files, bytes, fetchedBytes, warnings, warningCount } = await fetchData(fetched, optionsFor(reached, outputs, context));
  for (const text of warnings) reporter.report({ type: 'note', level: 'warn', text });
  if (warningCount > warnings.length) reporter.report({ type: 'note', level: 'warn', text: `${warningCount - warnings.length} more of the kind` });
  const all = `${files} ${files === 1 ? 'file' : 'files'} (${formatSize(bytes)})`;
  const text = fetchedBytes === 0 ? `Nothing new to fetch: ${all} there` : `Fetched ${all} on the machine`;
  reporter.report({ type: 'phase', phase: 'fetch', status: 'end', text });
  return fetchedBytes;
}

/** A machine without a runner fetches nothing. @throws GpuRunError `unfit` before anything is sent */
export function refuseFetched({ fetched = [] }: SyncSettings, name: string): void {
  const [first] = fetched;
  if (first === undefined) return;
  throw new GpuRunError('unfit', `'${name}' can't fetch ${shownUrl(first.from)} by itself: no runner can live there.`, {
    hints: ['Download it here, and give its path as `from` in gpu-run.yaml.'],
  });
}

function optionsFor(reached: Target, outputs: readonly string[], { reporter, signal, home }: Around): FetchOptions {
  return {
    open: (op, params) => reached.runner.open(op, params),
    memory: join(home.sync, `fetched-${reached.machine.id}.json`),
    outputs,
    signal,
    onProgress: (done, total) => reporter.report({ type: 'progress', phase: 'fetch', done, total, unit: 'bytes' }),
  };
}
