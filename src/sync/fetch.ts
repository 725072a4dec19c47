/**
 * The laptop's end of `fetch`: has the machine fetch data from where it is. What was fetched on a machine is remembered here, so that
 * it goes there when it leaves the config. May import core, protocol and `node:`.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ErrorCode, GpuRunError } from '../core/errors.ts';
import { RemoteError } from '../protocol/call-state.ts';
import { type FetchParams, type FetchResult, type FetchSource, parseFetchProgress, parseFetchResult } from '../protocol/fetch.ts';
import { FrameError } from '../protocol/frame.ts';
import { isListOf, isText } from '../protocol/shape.ts';
import { isWithin } from '../protocol/sync.ts';
import { toSyncError } from './sync-error.ts';
import { inCall, type Open } from './transfer.ts';

export interface FetchOptions {
  readonly open: Open;
  /** Where is kept what was fetched on this machine. Absolute. */
  readonly memory: string;
  /** Relative to the workdir: what the machine makes or changes there is left alone. */
  readonly outputs: readonly string[];
  readonly signal: AbortSignal;
  /** Bytes of content; `total` is null where a server does not say how much it is. */
  readonly onProgress: (done: number, total: number | null) => void;
}

/**
 * What was fetched on the machine before and is not in `places` goes there, where nobody has changed it. Costs nothing where there is none.
 * @param places those of data that is still to be fetched
 */
export async function removeFetched(places: readonly string[], options: FetchOptions): Promise<readonly string[]> {
  const before = remembered(options.memory);
  const gone = before.filter((place) => !places.includes(place));
  if (gone.length === 0) return [];
  const outermost = gone.filter((place) => !gone.some((other) => other !== place && isWithin(place, other)));
  const { warnings } = await call({ sources: [], gone: outermost, outputs: options.outputs }, options);
  remember(
    options.memory,
    before.filter((place) => !outermost.includes(place)),
  );
  return warnings;
}

/** @throws GpuRunError `sync`, `not-allowed`, `bad-input`, `disk-full`, `conflict`, `connection`, `protocol`, `interrupted`; run again it goes on behind what is there */
export async function fetchData(sources: readonly FetchSource[], options: FetchOptions): Promise<FetchResult> {
  const places = sources.map(({ to }) => to);
  remember(options.memory, [...new Set([...remembered(options.memory), ...places])]);
  return await call({ sources, gone: [], outputs: options.outputs }, options);
}

async function call(params: FetchParams, { open, signal, onProgress }: FetchOptions): Promise<FetchResult> {
  try {
    return await inCall(open('fetch', params), signal, async (fetching) => {
      for await (const part of fetching.parts()) {
        if (part.kind !== 'event') throw new FrameError('the machine sends content during a fetch');
        const { done, total } = parseFetchProgress(part.value);
        onProgress(done, total);
      }
      return parseFetchResult(await fetching.result);
    });
  } catch (error) {
    throw explain(error);
  }
}

const codes: readonly ErrorCode[] = ['sync', 'not-allowed', 'bad-input', 'disk-full'];

/** Errors of the machine bring their own advice, one line each behind the first. */
function explain(error: unknown): unknown {
  const said = error instanceof GpuRunError ? error.cause : error;
  const code = said instanceof RemoteError ? codes.find((known) => known === said.code) : undefined;
  if (code === undefined) return error;
  const [message = '', ...hints] = (said as RemoteError).message.split('\n');
  const sentence = `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? '' : '.'}`;
  return new GpuRunError(code, sentence, { hints: hints.length === 0 ? (usualHints[code] ?? []) : hints, cause: said });
}

const usualHints: Readonly<Partial<Record<ErrorCode, readonly string[]>>> = {
  'disk-full': ['Free space on the machine (gpu-run ssh NAME), or take one with a bigger disk.'],
};

function remembered(file: string): readonly string[] {
  try {
    const places: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isListOf(isText, places) ? (places as string[]) : [];
  } catch {
    return [];
  }
}

function remember(file: string, places: readonly string[]): void {
  if (places.length === 0) {
    rmSync(file, { force: true });
    return;
  }
  const temporary = `${file}.${process.pid}.new`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, JSON.stringify(places), { mode: 0o600 });
    renameSync(temporary, file);
  } catch (error) {
    throw toSyncError(error, new AbortController().signal);
  }
}
