/** Which offers are still worth a try after one has failed, and in which order. Pure. */
import type { Elsewhere } from '../core/errors.ts';
import type { Offer } from '../core/offer.ts';

/** @param offers those of one provider that have not been tried, best first @param tried the one that has just failed */
export function offersLeft(offers: readonly Offer[], tried: Offer, elsewhere: Elsewhere): readonly Offer[] {
  const left = offers.filter((offer) => !rulesOut(elsewhere, tried, offer));
  const better = elsewhere.betterZones ?? [];
  if (better.length === 0) return left;
  const rank = ({ zone }: Offer) => {
    const at = zone === null ? -1 : better.indexOf(zone);
    return at === -1 ? better.length : at;
  };
  return [...left].sort((a, b) => rank(a) - rank(b)); // stable: within a rank the best stays first
}

/** A zone or region that is not known rules out nothing but the offer itself. */
function rulesOut({ rulesOut: scope }: Elsewhere, tried: Offer, other: Offer): boolean {
  switch (scope) {
    case 'nothing':
      return false;
    case 'zone':
      return tried.zone !== null && other.zone === tried.zone;
    case 'region':
      return tried.region !== null && other.region === tried.region;
    case 'provider':
      return true;
  }
}

/** Places that were out of stock a short while ago come last: they are asked again when nothing else is left. */
export function coolDown(offers: readonly Offer[], outOfStock: readonly Offer[]): readonly Offer[] {
  const exhausted = new Set(outOfStock.map(keyOf));
  return [...offers.filter((offer) => !exhausted.has(keyOf(offer))), ...offers.filter((offer) => exhausted.has(keyOf(offer)))];
}

function keyOf({ provider, region, zone, type, spot }: Offer): string {
  return JSON.stringify([provider, region, zone, type, spot]);
}
