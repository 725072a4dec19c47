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
import { type Rate, skuReader } from './sku.ts';

/** Spot prices move about every two weeks: the catalog says the same for hours. */
const freshForMs = 6 * 3_600_000;
/** Read again from a file when the catalog can't be asked: still newer than the list that ships. */
const usableForMs = 7 * 24 * 3_600_000;
/** After a failure the catalog is left alone for so long, or every command would wait for it. */
const retryAfterMs = 3_600_000;
/** For all pages together. */
const fetchWithinMs = 15_000;
/** Compute Engine, in the catalog. */
const computeService = '6F81-5844-456A';
const mostPages = 60;

interface Kept {
  /** Milliseconds since the epoch. */
  readonly asOf: number;
  readonly rates: RateTable;
  /** When the last attempt failed; null: it did not. */
  readonly failedAt: number | null;
}

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
  const kept = read(file, now);
  const failedLately = kept?.failedAt != null && now - kept.failedAt < retryAfterMs;
  if (kept !== null && (now - kept.asOf < freshForMs || failedLately)) return bookOf(kept, now);
  try {
    const rates = await withinTime(parts.clock, signal, (until) => fetchRates(parts, until));
    if (Object.keys(rates).length === 0) throw new Error('it holds nothing that was expected');
    const next = { asOf: now, rates, failedAt: null };
    keep(parts.cache, file, next);
    return bookOf(next, now);
  } catch (error) {
    signal?.throwIfAborted();
    parts.log(`live prices can't be had (${error instanceof Error ? error.message : String(error)}): an older list is used`);
    keep(parts.cache, file, { asOf: kept?.asOf ?? 0, rates: kept?.rates ?? {}, failedAt: now });
    return kept === null ? null : bookOf(kept, now);
  }
}

function bookOf({ asOf, rates }: Kept, now: number): PriceBook | null {
  return now - asOf > usableForMs ? null : rateBook(rates, asOf);
}

/** @throws the signal's reason, an error when time is up, what `work` throws */
async function withinTime<T>(clock: Clock, signal: AbortSignal | undefined, work: (until: AbortSignal) => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  const end = new AbortController();
  const until = AbortSignal.any(signal === undefined ? [end.signal] : [end.signal, signal]);
  const timer = clock.sleep(fetchWithinMs, until).then(
    () => end.abort(new Error(`no whole answer within ${fetchWithinMs / 1000} seconds`)),
    () => undefined,
  );
  try {
    return await work(until);
  } finally {
    end.abort();
    await timer;
  }
}

async function fetchRates(parts: LivePriceParts, signal: AbortSignal): Promise<RateTable> {
  const token = await parts.accessToken(signal);
  const readSku = skuReader();
  const rates: Rate[] = [];
  let page = '';
  for (let count = 0; count < mostPages; count += 1) {
    const { skus, nextPageToken } = await fetchPage(parts, token, page, signal);
    for (const sku of Array.isArray(skus) ? skus : []) {
      const rate = readSku(sku);
      if (rate !== null) rates.push(rate);
    }
    if (typeof nextPageToken !== 'string' || nextPageToken === '') return rateTable(rates);
    page = nextPageToken;
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
    throw new Error(`HTTP ${response.status} from Cloud Billing`);
  }
  const body: unknown = await response.json();
  if (typeof body !== 'object' || body === null) throw new Error('Cloud Billing did not answer with an object');
  return body as Readonly<Record<string, unknown>>;
}

/** null: there is none, or it is not one of ours. */
function read(file: string, now: number): Kept | null {
  try {
    const { version, asOf, rates, failedAt } = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, unknown>>;
    if (version !== 1 || typeof asOf !== 'number' || asOf > now || typeof rates !== 'object' || rates === null) return null;
    if (!Object.values(rates).every((usd) => typeof usd === 'number' && usd > 0)) return null;
    return { asOf, rates: rates as RateTable, failedAt: typeof failedAt === 'number' && failedAt <= now ? failedAt : null };
  } catch {
    return null;
  }
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
