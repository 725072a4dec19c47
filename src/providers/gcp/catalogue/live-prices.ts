/**
 * Today's prices from the Cloud Billing catalog, kept in a file for some hours. Nothing here is worth a failed command: what can't be
 * had is said to the log, and the caller goes on with an older list.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../../core/clock.ts';
import type { CatalogueParts } from './catalogue.ts';
import type { PriceBook } from './price-book.ts';
import { type RateTable, rateBook, rateTable } from './rate-book.ts';
import { skuReader } from './sku.ts';

/** Spot prices move about every two weeks: the catalog says the same for hours. */
const freshForMs = 12 * 3_600_000;
/** Read again from a file when the catalog can't be asked: still newer than the list that ships. */
const usableForMs = 7 * 24 * 3_600_000;
/** After a failure the catalog is left alone for so long, or every command would wait for it. */
const retryAfterMs = 3_600_000;
/** Nobody waits longer for prices. The catalog has some ten pages: what was read by then is kept, and the next command reads on from there. */
const fetchWithinMs = 8_000;
/** How long a half-read catalog is worth going on with. */
const partialForMs = 3_600_000;
/** Compute Engine, in the catalog. */
const computeService = '6F81-5844-456A';
const mostPages = 60;

interface Kept {
  /** Milliseconds since the epoch. */
  readonly asOf: number;
  readonly rates: RateTable;
  /** When the last attempt failed; null: it did not. */
  readonly failedAt: number | null;
  /** What an attempt has read that ran out of time; null: none. */
  readonly partial: Partly | null;
}

interface Partly {
  /** When its first page was read, milliseconds since the epoch. */
  readonly asOf: number;
  readonly rates: RateTable;
  /** Where to go on. */
  readonly page: string;
}

const nothing: Kept = { asOf: 0, rates: {}, failedAt: null, partial: null };

export interface LivePriceParts extends Pick<CatalogueParts, 'cache' | 'billingUrl' | 'clock' | 'fetch'> {
  readonly log: (line: string) => void;
  readonly accessToken: (signal: AbortSignal) => Promise<string>;
  /** Who pays for the call: asked for of users' own credentials. */
  readonly project: string;
}

/** null: there are none. Never throws but the signal's reason. */
export async function livePrices(parts: LivePriceParts, signal?: AbortSignal): Promise<PriceBook | null> {
  const file = join(parts.cache, 'gcp-prices.json');
  const now = parts.clock.now();
  const kept = read(file, now) ?? nothing;
  const failedLately = kept.failedAt !== null && now - kept.failedAt < retryAfterMs;
  if (now - kept.asOf < freshForMs || failedLately) return bookOf(kept, now);
  const begun = kept.partial !== null && now - kept.partial.asOf < partialForMs ? kept.partial : null;
  const reading: Reading = { rates: begun?.rates ?? {}, page: begun?.page ?? '' };
  try {
    await withinTime(parts.clock, signal, (until) => readCatalog(parts, reading, until));
    if (Object.keys(reading.rates).length === 0) throw new Error('it holds nothing that was expected');
    const next = { asOf: begun?.asOf ?? now, rates: reading.rates, failedAt: null, partial: null };
    keep(parts.cache, file, next);
    return bookOf(next, now);
  } catch (error) {
    signal?.throwIfAborted();
    parts.log(`live prices can't be had (${error instanceof Error ? error.message : String(error)}): an older list is used`);
    if (!(error instanceof NoToken)) keep(parts.cache, file, afterFailure(kept, begun, reading, error, now));
    return bookOf(kept, now);
  }
}

/** Pages that were gained are kept, to go on from; else the catalog is left alone for a while. */
function afterFailure(kept: Kept, begun: Partly | null, { rates, page }: Reading, error: unknown, now: number): Kept {
  const gained = error instanceof OutOfTime && page !== (begun?.page ?? '');
  return gained ? { ...kept, failedAt: null, partial: { asOf: begun?.asOf ?? now, rates, page } } : { ...kept, failedAt: now, partial: null };
}

function bookOf({ asOf, rates }: Kept, now: number): PriceBook | null {
  return now - asOf > usableForMs ? null : rateBook(rates, asOf);
}

class OutOfTime extends Error {}
/** Says nothing of the catalog: asked again as soon as the credentials work. */
class NoToken extends Error {}

/** @throws the signal's reason, OutOfTime, what `work` throws */
async function withinTime<T>(clock: Clock, signal: AbortSignal | undefined, work: (until: AbortSignal) => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  const end = new AbortController();
  const until = AbortSignal.any(signal === undefined ? [end.signal] : [end.signal, signal]);
  const timer = clock.sleep(fetchWithinMs, until).then(
    () => end.abort(new OutOfTime(`no whole answer within ${fetchWithinMs / 1000} seconds`)),
    () => undefined,
  );
  try {
    return await work(until);
  } finally {
    end.abort();
    await timer;
  }
}

/** How far the catalog has been read. */
interface Reading {
  rates: RateTable;
  /** The next page; empty: the first. */
  page: string;
}

async function readCatalog(parts: LivePriceParts, reading: Reading, signal: AbortSignal): Promise<void> {
  const token = await parts.accessToken(signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new NoToken(error instanceof Error ? error.message : String(error), { cause: error });
  });
  const readSku = skuReader();
  for (let count = 0; count < mostPages; count += 1) {
    const { skus, nextPageToken } = await fetchPage(parts, token, reading.page, signal);
    const rates = (Array.isArray(skus) ? skus : []).map(readSku).filter((rate) => rate !== null);
    reading.rates = rateTable(rates, reading.rates);
    if (typeof nextPageToken !== 'string' || nextPageToken === '') return;
    reading.page = nextPageToken;
  }
  throw new Error(`the catalog has more than ${mostPages} pages`);
}

async function fetchPage(parts: LivePriceParts, token: string, page: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
  const query = new URLSearchParams({ currencyCode: 'USD', pageSize: '5000', ...(page === '' ? {} : { pageToken: page }) });
  const url = `${parts.billingUrl}/v1/services/${computeService}/skus?${query}`;
  const ask = (extra: Readonly<Record<string, string>>) =>
    (parts.fetch ?? fetch)(url, { headers: { authorization: `Bearer ${token}`, accept: 'application/json', ...extra }, signal });
  let response = await ask({ 'x-goog-user-project': parts.project });
  // Charging the project needs a permission that a service account often lacks; without the header its own project is charged.
  if (response.status === 403) {
    await response.body?.cancel();
    response = await ask({});
  }
  if (!response.ok) {
    await response.body?.cancel();
    const why = response.status === 403 ? `; is cloudbilling.googleapis.com enabled in '${parts.project}'?` : '';
    throw new Error(`HTTP ${response.status} from Cloud Billing${why}`);
  }
  const body: unknown = await response.json();
  if (typeof body !== 'object' || body === null) throw new Error('Cloud Billing did not answer with an object');
  return body as Readonly<Record<string, unknown>>;
}

/** null: there is none, or it is not one of ours. */
function read(file: string, now: number): Kept | null {
  try {
    const { version, asOf, rates, failedAt, partial } = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, unknown>>;
    if (version !== 1 || !isPast(asOf, now) || !isRates(rates)) return null;
    return { asOf, rates, failedAt: isPast(failedAt, now) ? failedAt : null, partial: isPartly(partial, now) ? partial : null };
  } catch {
    return null;
  }
}

function isPast(at: unknown, now: number): at is number {
  return typeof at === 'number' && at <= now;
}

function isRates(rates: unknown): rates is RateTable {
  return typeof rates === 'object' && rates !== null && Object.values(rates).every((usd) => typeof usd === 'number' && usd > 0);
}

function isPartly(partial: unknown, now: number): partial is Partly {
  if (typeof partial !== 'object' || partial === null) return false;
  const { asOf, rates, page } = partial as Readonly<Record<string, unknown>>;
  return isPast(asOf, now) && isRates(rates) && typeof page === 'string';
}

function keep(folder: string, file: string, kept: Kept): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const next = `${file}.${process.pid}.new`;
    writeFileSync(next, JSON.stringify({ version: 1, ...kept }), { mode: 0o600 });
    renameSync(next, file);
  } catch {
    // A full disk or a read-only folder: the catalog is asked again next time.
  }
}
