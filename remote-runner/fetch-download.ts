/**
 * One file from a server into a part, through interruptions: goes on where it stopped as long as the content is the same, and takes
 * nothing that the server has not announced. May import protocol and `node:`.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { shownUrl } from '../src/protocol/fetch.ts';
import { fetchError, Interruption } from './fetch-error.ts';
import { type ContentState, type FetchPart, noState } from './fetch-part.ts';
import type { Answer, Web } from './fetch-web.ts';

export interface Remote {
  readonly url: URL;
  /** As it may be shown. */
  readonly name: string;
  /** What every question carries, such as a token that is good now. */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** What is known of it beforehand; null: nothing. */
  readonly size: number | null;
  readonly state: ContentState;
  readonly sha256: string | null;
  readonly crc32c: number | null;
  /** A version that the address itself names: what it leads to never changes. */
  readonly fixed: string | null;
}

export interface Fetching {
  readonly web: Web;
  readonly signal: AbortSignal;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Bytes that arrived; negative where some of them have to come again. */
  readonly onBytes: (bytes: number) => void;
}

export const realSleep: Fetching['sleep'] = async (ms, signal) => void (await wait(ms, undefined, { signal }));

/** So often in a row may be tried without a byte in between; the pauses add up to two minutes and a half. */
const triesInVain = 9;
const longestPauseMs = 30_000;

/** What was fetched has the right sums and lies on the disk. @throws RunnerError with the reason why it can't be had */
export async function download(remote: Remote, part: FetchPart, fetching: Fetching): Promise<void> {
  let inVain = 0;
  let resumed = part.size > 0;
  for (;;) {
    const before = part.size;
    try {
      if (!isWhole(remote, part)) resumed = (await fetchOn(remote, part, fetching)) || resumed;
      const problem = sumsProblem(remote, part);
      if (problem === null) return await part.finish();
      // Two states of a file, one half of each, where the server names none: all of it comes again, once.
      fetching.onBytes(-part.size);
      part.restart(noState);
      if (!resumed) throw fetchError('sync', problem, 'If the file was replaced on purpose, put its new SHA-256 into gpu-run.yaml.');
      resumed = false;
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      inVain = part.size > before ? 1 : inVain + 1;
      if (inVain >= triesInVain)
        throw fetchError('sync', `${remote.name} could not be fetched: ${error.message}.`, 'Run the command again: it goes on behind what is there.');
      await fetching.sleep(error.afterMs ?? Math.min(longestPauseMs, 500 * 2 ** inVain), fetching.signal);
    }
  }
}

/** An earlier call may have come so far. */
function isWhole({ size, state, sha256 }: Remote, part: FetchPart): boolean {
  if (part.size === 0 || (size !== null && part.size !== size)) return false;
  return (size !== null && state.strong !== null && part.state.strong === state.strong) || (sha256 !== null && part.sums().sha256 === sha256);
}

function sumsProblem({ name, sha256, crc32c }: Remote, part: FetchPart): string | null {
  const sums = part.sums();
  if (sha256 !== null && sums.sha256 !== sha256) return `${name} is not what was expected: its SHA-256 is ${sums.sha256}, not ${sha256}.`;
  return crc32c !== null && sums.crc32c !== crc32c ? `${name} arrived damaged: its CRC-32C is not what the bucket says.` : null;
}

/** True: it went on behind what was there. Returns when the content is there to its announced end. */
async function fetchOn(remote: Remote, part: FetchPart, fetching: Fetching): Promise<boolean> {
  const range = rangeFor(remote, part);
  if (part.size > 0 && range === null) {
    fetching.onBytes(-part.size);
    part.restart(noState);
  }
  const answer = await fetching.web.get(remote.url, { ...(await remote.headers()), ...range }, fetching.signal);
  try {
    const { total, goesOn } = await begin(remote, part, answer, fetching);
    await takeBody(remote, part, answer, total, fetching);
    return goesOn;
  } finally {
    answer.drop();
  }
}

/** null: there is nothing to go on from, or no way to make sure that the rest belongs to it. */
function rangeFor({ fixed, sha256, crc32c }: Remote, { size, state }: FetchPart): Record<string, string> | null {
  if (size === 0) return null;
  const range = { range: `bytes=${size}-` };
  if (fixed !== null) return range;
  if (state.strong !== null) return { ...range, 'if-range': state.strong };
  return sha256 !== null || crc32c !== null ? range : null;
}

/** Reads the head of an answer. `total`: bytes of the whole content, null when the server does not say. */
async function begin(remote: Remote, part: FetchPart, answer: Answer, { onBytes }: Fetching): Promise<{ total: number | null; goesOn: boolean }> {
  const { status, headers } = answer;
  const state = remote.fixed === null ? stateOf(headers) : remote.state;
  if (status === 206) {
    const [, from, whole] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
    const isSame = part.state.strong === null || state.strong === null || part.state.strong === state.strong;
    if (from !== undefined && Number(from) === part.size && isSame) return { total: whole === '*' || whole === undefined ? null : Number(whole), goesOn: true };
  }
  if (status === 206 || status === 416) {
    // Another file by now, or a server that can't count: from the start.
    onBytes(-part.size);
    part.restart(noState);
    throw new Interruption(`${remote.name} has changed while it was fetched`);
  }
  if (status !== 200) throw refusal(remote, answer);
  onBytes(-part.size);
  part.restart(state);
  return { total: lengthOf(headers), goesOn: false };
}

async function takeBody(remote: Remote, part: FetchPart, answer: Answer, total: number | null, { onBytes, signal }: Fetching): Promise<void> {
  const most = total ?? remote.size;
  for await (const bytes of answer.body) {
    signal.throwIfAborted();
    if (most !== null && part.size + bytes.length > most) throw fetchError('sync', `${remote.name} is longer than its server has said (${most} bytes).`);
    await part.append(bytes);
    onBytes(bytes.length);
  }
  if (total !== null && part.size < total) throw new Interruption(`the connection ended ${total - part.size} bytes too early`);
  const isFramed = total !== null || /\bchunked\b/i.test(answer.headers['transfer-encoding'] ?? '');
  if (!isFramed && remote.sha256 === null && remote.crc32c === null)
    throw fetchError(
      'sync',
      `The server of ${remote.name} does not say where it ends: whether all of it came can't be known.`,
      'Give its `sha256` in gpu-run.yaml.',
    );
}

export function lengthOf(headers: Answer['headers']): number | null {
  const text = headers['content-length'];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** A modification time says so much only when it is clearly in the past (RFC 9110, 8.8.2.2). */
const surelyPastMs = 60_000;

/** `If-Range` takes a strong ETag, or a modification time that is as good (RFC 9110, 13.1.5). */
export function stateOf(headers: Answer['headers']): ContentState {
  const { etag, date } = headers;
  const modified = headers['last-modified'] ?? null;
  const isSure = modified !== null && date !== undefined && Date.parse(date) - Date.parse(modified) >= surelyPastMs;
  return { strong: etag?.startsWith('"') === true ? etag : isSure ? modified : null, any: etag ?? modified };
}

/** What an answer without content means. */
export function refusal({ name }: Pick<Remote, 'name'>, { status, headers }: Pick<Answer, 'status' | 'headers'>): Error {
  if (status === 408 || status === 429 || status >= 500) return new Interruption(`HTTP ${status} for ${shownUrl(name)}`, retryAfterMs(headers['retry-after']));
  if (status === 401 || status === 403)
    return fetchError(
      'not-allowed',
      `${name} may not be read by the machine: HTTP ${status}.`,
      'Check the address in gpu-run.yaml: a signed one may have run out.',
    );
  if (status === 404 || status === 410) return fetchError('sync', `There is no ${name}: HTTP ${status}.`, 'Check `from` in gpu-run.yaml.');
  return fetchError('sync', `${name} can't be fetched: HTTP ${status}.`);
}

const longestWaitMs = 120_000;

function retryAfterMs(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = /^\d{1,6}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.min(longestWaitMs, Math.max(0, ms)) : null;
}
