/** What one source needs: its files are found, and those that are there already are told from those that have to come. May import protocol and `node:`. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type FetchSource, shownUrl } from '../src/protocol/fetch.ts';
import { checkAddress, isBucket } from './fetch-address.ts';
import { askAgain } from './fetch-again.ts';
import { findObjects } from './fetch-bucket.ts';
import type { BucketOptions } from './fetch-bucket-api.ts';
import { type Fetching, lengthOf, type Remote, refusal, stateOf } from './fetch-download.ts';
import { readMark } from './fetch-part.ts';
import { adopt, lookAhead, type PlacingSource } from './fetch-place.ts';
import { type Fetched, isUntouched, keyOf } from './fetch-record.ts';

export interface FetchItem {
  /** Workdir-relative. */
  readonly path: string;
  readonly remote: Remote;
  /** Where it is written before it is whole. */
  readonly part: string;
  /** What it is a part of. */
  readonly key: string;
  /** So many bytes are there from an earlier fetch, as far as can be told. */
  readonly partBytes: number;
  readonly source: PlacingSource;
}

export interface FetchPlan {
  readonly source: PlacingSource;
  /** What has to come. */
  readonly items: readonly FetchItem[];
  /** All that belongs there, also what is left alone. */
  readonly wanted: ReadonlySet<string>;
  /** What is there already. */
  readonly presentFiles: number;
  readonly presentBytes: number;
}

/** Asks for each file's size and state; content does not travel yet. */
export async function planSource(
  { from, to, sha256 }: FetchSource,
  source: PlacingSource,
  parts: string,
  fetching: Fetching,
  bucket: BucketOptions,
): Promise<FetchPlan> {
  checkAddress(from);
  if (isBucket(from)) {
    const found = await findObjects(from, sha256, bucket);
    for (const text of found.warnings) source.warn(text);
    const items = found.objects.map(({ path, remote }) => ({ path: path === '' ? to : `${to}/${path}`, remote }));
    return await compare(items, source, parts, async ({ remote }, known) => (known === null ? remote : 'same'));
  }
  const remote: Remote = {
    url: new URL(from),
    name: shownUrl(from),
    headers: async () => ({}),
    size: null,
    state: { strong: null, any: null },
    sha256,
    crc32c: null,
    fixed: null,
  };
  return await compare([{ path: to, remote }], source, parts, (item, known) => askState(item.remote, known, fetching));
}

type Candidate = Pick<FetchItem, 'path' | 'remote'>;

/** 'same' when what was fetched is still what is there; `known`: it lies untouched in its place. */
type Ask = (item: Candidate, known: Fetched | null) => Promise<Remote | 'same'>;

async function compare(candidates: readonly Candidate[], source: PlacingSource, parts: string, ask: Ask): Promise<FetchPlan> {
  const items: FetchItem[] = [];
  let presentFiles = 0;
  let presentBytes = 0;
  for (const candidate of candidates) {
    source.signal.throwIfAborted();
    const key = keyOf(`${candidate.remote.url.href} ${candidate.remote.fixed ?? ''}`);
    const part = join(parts, createHash('sha256').update(candidate.path).digest('hex').slice(0, 24));
    adopt(candidate.path, part, source);
    const need = await needOf(candidate, key, source, ask);
    if (need === 'output') source.warn(`${candidate.path} is an output and was made or changed on the machine; it was left as it is there`);
    else if (need === 'same') {
      presentFiles += 1;
      presentBytes += source.record.files.get(candidate.path)?.size ?? 0;
    } else {
      const mark = readMark(part);
      const size = mark?.key === key ? mark.bytes : 0;
      items.push({ path: candidate.path, remote: need, part, key, partBytes: need.size === null ? size : Math.min(size, need.size), source });
    }
  }
  return { source, items, wanted: new Set(candidates.map(({ path }) => path)), presentFiles, presentBytes };
}

async function needOf(candidate: Candidate, key: string, source: PlacingSource, ask: Ask): Promise<Remote | 'same' | 'output'> {
  const { path, remote } = candidate;
  const fetched = source.record.files.get(path);
  if (fetched === undefined || !(await isUntouched(source.workdir.absolute(path), fetched, source.signal))) {
    const ahead = await lookAhead(path, remote.sha256, source);
    if (ahead !== 'free') return ahead === 'there' ? 'same' : 'output';
    return await ask(candidate, null);
  }
  if (remote.sha256 !== null) return fetched.sha256 === remote.sha256 ? 'same' : await ask(candidate, null);
  return await ask(candidate, fetched.key === key ? fetched : null);
}

/** One question: whether it is what was fetched before, else how much it is. */
function askState(remote: Remote, known: Fetched | null, fetching: Fetching): Promise<Remote | 'same'> {
  const validator = known?.validator ?? null;
  const headers: Record<string, string> = validator === null ? {} : { [/^(W\/)?"/.test(validator) ? 'if-none-match' : 'if-modified-since']: validator };
  return askAgain(remote.name, fetching, async () => {
    const answer = await fetching.web.get(remote.url, headers, fetching.signal);
    answer.drop();
    if (answer.status === 304 && known !== null) return 'same';
    if (answer.status !== 200) throw refusal(remote, answer);
    const state = stateOf(answer.headers);
    const size = lengthOf(answer.headers);
    const isSame = known !== null && validator !== null && validator === state.any && (size === null || size === known.size);
    return isSame ? 'same' : { ...remote, size, state };
  });
}
