/** Puts the catalogue together: types that fit, places, quota, prices, order. */
import { GpuRunError } from '../../../core/errors.ts';
import type { Offer, ResourceNeed } from '../../../core/offer.ts';
import type { GceApi } from '../gce-api.ts';
import { adviceFor } from './advice.ts';
import { sharedCalls } from './ask-once.ts';
import type { Catalogue, CatalogueParts, OfferOptions } from './catalogue.ts';
import { fittingMachines, type Provisioning } from './fitting.ts';
import { advised, byPrice } from './in-order.ts';
import { livePrices } from './live-prices.ts';
import type { GceMachine } from './machine-type.ts';
import { type Market, openMarket } from './market.ts';
import { allowedPlaces, regionOfZone, zonesNamed } from './places.ts';
import { egressPrice, layered, type PriceBook, wholePrice } from './price-book.ts';
import { projectShortage, quotaError, regionShortage, type Shortage } from './quota.ts';
import { loadSnapshot } from './snapshot.ts';

/** Regions that exist, though the list that ships has no price there; for when the API can't be asked. */
const withoutList = ['africa-south1', 'asia-northeast2', 'australia-southeast2', 'europe-southwest1', 'europe-west12', 'me-central1', 'southamerica-west1'];

/** Regions that Google is asked for advice on, best first. */
const mostAdvised = 3;

/** Prices that this process has read are not looked at again; the file that they are kept in says more. */
const pricesGoodForMs = 10 * 60_000;

interface Wanted extends OfferOptions {
  readonly need: ResourceNeed;
  readonly provisioning: Provisioning;
  readonly machines: readonly GceMachine[];
}

/** A zone, or a region where the zones aren't known. */
interface Where {
  readonly region: string;
  readonly zone: string | null;
}

interface Opened {
  readonly api: GceApi;
  readonly market: Market;
}

export function createCatalogue(parts: CatalogueParts): Catalogue {
  const { clock } = parts;
  const log = parts.log ?? (() => undefined);
  const shared = sharedCalls(clock);
  let opened: Promise<Opened> | null = null;
  const open = (): Promise<Opened> => {
    const opening = opened ?? parts.api().then((api) => ({ api, market: openMarket(api, shared, log) }));
    if (opened === null) {
      opened = opening;
      opening.catch(() => {
        opened = null;
      });
    }
    return opening;
  };

  const pricesNow = ({ api }: Opened, signal: AbortSignal | undefined) => {
    const billing = { ...parts, log, project: api.project, accessToken: (until: AbortSignal) => api.accessToken(until) };
    return shared('prices', pricesGoodForMs, (until) => livePrices(billing, until), signal);
  };

  return {
    async priceOf(machine, of, signal) {
      const [snapshot, live] = await Promise.all([loadSnapshot(), open().then((opening) => pricesNow(opening, signal))]);
      return wholePrice(layered(live === null ? [snapshot] : [live, snapshot]), machine, of);
    },

    async *offers(need, options, signal) {
      signal?.throwIfAborted();
      const provisioning = options.provisioning ?? (need.spot ? 'spot' : 'standard');
      const wanted: Wanted = { ...options, need, provisioning, machines: fittingMachines(need, provisioning) };
      if (!(await parts.hasCredentials())) return yield* listedOffers(wanted, await loadSnapshot());
      const opening = await open();
      const { api, market } = opening;
      const [snapshot, live] = await Promise.all([loadSnapshot(), pricesNow(opening, signal), warm(market, wanted, signal)]);
      const book = layered(live === null ? [snapshot] : [live, snapshot]);
      const offers = await marketOffers(wanted, { api, market, book }, signal);
      yield* provisioning === 'spot' ? await withAdvice(offers, wanted, api, parts, signal) : offers;
    },
  };
}

/** Asks all that is needed at once; who needs an answer awaits it later, and gets its failure. */
async function warm(market: Market, { machines }: Wanted, signal: AbortSignal | undefined): Promise<void> {
  await Promise.all([...machines.map((machine) => market.zones(machine, signal)), market.regions(signal), market.projectQuotas(signal)]);
}

/** One offer a region, from the price list that ships. */
function listedOffers(wanted: Wanted, book: PriceBook): readonly Offer[] {
  const { need, machines } = wanted;
  const allowed = allowedPlaces(need.regions, [...book.regions, ...withoutList]);
  const named = zonesNamed(need.regions);
  const places = book.regions.filter(allowed.region).flatMap((region): readonly Where[] => {
    const zones = named.filter((zone) => regionOfZone(zone) === region);
    return zones.length === 0 ? [{ region, zone: null }] : zones.map((zone) => ({ region, zone }));
  });
  const offers = machines.flatMap((machine) => places.flatMap((place) => offerOf(machine, place, wanted, book) ?? []));
  if (offers.length === 0) throw unpriced(wanted);
  return offers.sort(byPrice);
}

async function marketOffers(
  wanted: Wanted,
  { api, market, book }: Opened & { readonly book: PriceBook },
  signal: AbortSignal | undefined,
): Promise<readonly Offer[]> {
  const { need, machines } = wanted;
  const regions = await market.regions(signal);
  const allowed = allowedPlaces(need.regions, regions === null ? [...book.regions, ...withoutList] : [...regions.keys()]);
  const candidates: Offer[] = [];
  for (const machine of machines) {
    for (const zone of await market.zones(machine, signal)) {
      const region = regionOfZone(zone);
      if (!allowed.zone(zone) || (regions !== null && !regions.has(region))) continue;
      const offer = offerOf(machine, { region, zone }, wanted, book);
      if (offer !== null) candidates.push(offer);
    }
  }
  if (candidates.length === 0) throw nowhereHere(wanted);
  return withQuota(wanted, candidates.sort(byPrice), { api, market }, signal);
}

/** @throws GpuRunError `quota` when no region has room */
async function withQuota(wanted: Wanted, candidates: readonly Offer[], { api, market }: Opened, signal: AbortSignal | undefined): Promise<readonly Offer[]> {
  const { need, machines, provisioning, diskGb, diskType, publicIp } = wanted;
  const orderOf = (machine: GceMachine) => ({ machine, nodes: need.nodes, provisioning, diskGb, diskType: diskType ?? machine.bootDisk, publicIp });
  const [regions, project] = await Promise.all([market.regions(signal), market.projectQuotas(signal)]);
  const short = new Map<string, Shortage>();
  const shortageOf = ({ type, region }: Offer): Shortage | null => {
    const machine = machines.find((candidate) => candidate.type === type);
    if (machine === undefined || region === null) return null;
    return projectShortage(orderOf(machine), project) ?? regionShortage(orderOf(machine), region, regions?.get(region)?.quotas ?? []);
  };
  const withRoom = candidates.filter((offer) => {
    const shortage = shortageOf(offer);
    if (shortage !== null) short.set(`${shortage.metric} ${shortage.region}`, shortage);
    return shortage === null;
  });
  const gpu = machines[0]?.gpu ?? null;
  if (withRoom.length === 0) throw quotaError(api.project, [...short.values()], gpu === null ? null : `${gpu.count} x ${gpu.name}`);
  return withRoom;
}

async function withAdvice(
  offers: readonly Offer[],
  { need, machines }: Wanted,
  api: GceApi,
  { clock }: CatalogueParts,
  signal: AbortSignal | undefined,
): Promise<readonly Offer[]> {
  const asked = [...new Set(offers.map(({ region }) => region ?? ''))].slice(0, mostAdvised).flatMap((region) => {
    const here = offers.filter((offer) => offer.region === region);
    const machine = machines.find(({ type }) => type === here[0]?.type);
    return machine === undefined ? [] : [{ region, machine, zones: here.filter(({ type }) => type === machine.type).map(({ zone }) => zone ?? '') }];
  });
  return advised(offers, await adviceFor(asked, need.nodes, { api, clock, signal }));
}

/** null: its price is not known, and a price of nothing would mislead. */
function offerOf(machine: GceMachine, { region, zone }: Where, { need, provisioning, diskGb, publicIp }: Wanted, book: PriceBook): Offer | null {
  // A queued start costs less than on demand, at a price of its own that is in no list: what is shown is the most that it can be.
  const spot = provisioning === 'spot';
  const price = wholePrice(book, machine, { region, spot, diskGb, publicIp });
  if (price === null) return null;
  const { perHour, asOf, source } = price;
  const { type } = machine;
  const gpu = machine.gpu === null ? null : { name: wordFor(machine.gpu.name, need), count: machine.gpu.count };
  return { provider: 'gcp', region, zone, type, gpu, spot, price: { perHour, currency: 'USD' }, egress: egressPrice, asOf, source, available: null };
}

/** The user's own word where it is another one (`A100-40GB`): by it the machine is known again. */
function wordFor(name: string, { gpu }: ResourceNeed): string {
  return gpu === undefined || gpu.name.toUpperCase() === name ? name : gpu.name;
}

function unpriced({ machines, need }: Wanted): GpuRunError {
  return new GpuRunError('no-capacity', `No price of ${spoken(machines)} is known${need.regions.length === 0 ? '' : ` in ${need.regions.join(', ')}`}.`, {
    hints: [
      'With credentials Google is asked for it: gcloud auth application-default login',
      ...(need.regions.length === 0 ? [] : ['Leave --region out, to look everywhere.']),
    ],
    retry: 'elsewhere',
    elsewhere: { rulesOut: 'provider' },
  });
}

function nowhereHere({ machines, need }: Wanted): GpuRunError {
  const where = need.regions.length === 0 ? 'any zone that the project may use' : need.regions.join(', ');
  return new GpuRunError('no-capacity', `There is no ${spoken(machines)} with a known price in ${where}.`, {
    hints: [
      ...(need.regions.length === 0 ? [] : ['Leave --region out, to look everywhere.']),
      'gpu-run offers --provider gcp   shows where there are machines',
    ],
    retry: 'elsewhere',
    elsewhere: { rulesOut: 'provider' },
  });
}

/** `a3-highgpu-8g or a3-megagpu-8g`, `n1-standard-4 with 1 x T4`. */
function spoken(machines: readonly GceMachine[]): string {
  return machines
    .map(({ type, guestAccelerators, gpu }) => (guestAccelerators && gpu !== null ? `${type} with ${gpu.count} x ${gpu.name}` : type))
    .join(' or ');
}
