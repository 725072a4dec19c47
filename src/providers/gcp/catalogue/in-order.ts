/** Which offer is tried first. */
import type { Offer } from '../../../core/offer.ts';
import type { Advice } from './advice.ts';

/** Cheapest first; at one price region by region, so that one region's zones stand together. */
export function byPrice(one: Offer, other: Offer): number {
  return one.price.perHour - other.price.perHour || compare(one.region, other.region) || compare(one.type, other.type) || compare(one.zone, other.zone);
}

/** Regions up to this much dearer than the cheapest change places when advice says so. */
const aboutTheSame = 1.05;

/**
 * Regions that cost about as much as the cheapest go by how likely they have a machine; in each region the zones that are advised
 * come first. `offers`: by price. What there is no advice on keeps its place.
 */
export function advised(offers: readonly Offer[], advice: ReadonlyMap<string, Advice>): readonly Offer[] {
  const cheapest = offers[0];
  if (cheapest === undefined || advice.size === 0) return offers;
  const limit = cheapest.price.perHour * aboutTheSame;
  const [near, far] = [offers.filter(({ price }) => price.perHour <= limit), offers.filter(({ price }) => price.perHour > limit)];
  const chance = (region: string | null) => advice.get(region ?? '')?.obtainability ?? 0;
  const regions = [...new Set(near.map(({ region }) => region))];
  const ranked = regions.map((region, place) => ({ region, place })).sort((a, b) => chance(b.region) - chance(a.region) || a.place - b.place);
  const ordered = ranked.flatMap(({ region }) => near.filter((offer) => offer.region === region));
  return zonesAdvised([...ordered, ...far], advice);
}

/** Within each run of offers of one region at one price. */
function zonesAdvised(offers: readonly Offer[], advice: ReadonlyMap<string, Advice>): readonly Offer[] {
  const place = ({ region, zone }: Offer): number => {
    const at = advice.get(region ?? '')?.zones.indexOf(zone ?? '') ?? -1;
    return at === -1 ? Number.MAX_SAFE_INTEGER : at;
  };
  const runs: Offer[][] = [];
  for (const offer of offers) {
    const run = runs.at(-1);
    const first = run?.[0];
    const same = first !== undefined && first.region === offer.region && first.price.perHour === offer.price.perHour;
    if (run !== undefined && same) run.push(offer);
    else runs.push([offer]);
  }
  return runs.flatMap((run) => run.sort((a, b) => place(a) - place(b)));
}

function compare(one: string | null, other: string | null): number {
  const [a, b] = [one ?? '', other ?? ''];
  return a < b ? -1 : a > b ? 1 : 0;
}
