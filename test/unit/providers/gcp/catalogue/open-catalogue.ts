/** A catalogue over a fake API, with a clock that is turned by hand and a cache folder that goes with the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { GpuRunError } from '../../../../../src/core/errors.ts';
import type { Offer, ResourceNeed } from '../../../../../src/core/offer.ts';
import type { CatalogueParts, OfferOptions } from '../../../../../src/providers/gcp/catalogue/catalogue.ts';
import { createCatalogue } from '../../../../../src/providers/gcp/catalogue/create-catalogue.ts';
import { createFakeClock, type FakeClock } from '../../../../../src/testing/fake-clock.ts';
import { type FakeApiParts, fakeApi } from './fake-api.ts';

/** What two catalogues have in common that stand for two processes. */
export interface Shared {
  readonly cache: string;
  readonly clock: FakeClock;
}

export function sharedPlace(): Shared {
  const cache = mkdtempSync(join(tmpdir(), 'gcp-catalogue-'));
  onTestFinished(() => rmSync(cache, { recursive: true, force: true }));
  return { cache, clock: createFakeClock(Date.UTC(2026, 10, 21)) };
}

export const need = (gpu: string | null, more: Partial<ResourceNeed> = {}): ResourceNeed => {
  const [name = '', count] = (gpu ?? '').split(':');
  return { ...(gpu === null ? {} : { gpu: { name, count: Number(count) } }), spot: false, regions: [], nodes: 1, providerOptions: {}, ...more };
};
export const bare: OfferOptions = { diskGb: 100, publicIp: true };
const noBilling: CatalogueParts['fetch'] = async () => new Response('{}', { status: 404 });

export function open(parts: FakeApiParts = {}, more: Partial<CatalogueParts> = {}, shared: Shared = sharedPlace()) {
  const { cache, clock } = shared;
  const api = fakeApi(parts);
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const billingUrl = 'http://127.0.0.1:9';
  const catalogue = createCatalogue({ api: async () => api, hasCredentials: async () => true, cache, billingUrl, clock, log, fetch: noBilling, ...more });
  const offers = async (wanted: ResourceNeed, options: OfferOptions = bare, signal?: AbortSignal): Promise<Offer[]> => {
    const all: Offer[] = [];
    for await (const offer of catalogue.offers(wanted, options, signal)) all.push(offer);
    return all;
  };
  return { api, catalogue, offers, lines, clock };
}

export const failure = async (work: Promise<unknown>): Promise<GpuRunError> => {
  const outcome = await work.then(
    () => null,
    (error: unknown) => error as GpuRunError,
  );
  if (outcome === null) throw new Error('it worked');
  return outcome;
};
export const zonesOf = (offers: readonly Offer[]) => offers.map(({ zone }) => zone);

export const l4 = { 'g2-standard-4': ['us-central1-b', 'us-central1-a', 'us-east4-c', 'europe-west4-a'] };
