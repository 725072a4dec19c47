import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Elsewhere } from '../../../src/core/errors.ts';
import type { Offer } from '../../../src/core/offer.ts';
import { coolDown, offersLeft } from '../../../src/workflows/offers-left.ts';

const place = fc.constantFrom('a', 'b', 'c', null);
const anyOffer: fc.Arbitrary<Offer> = fc.record({ region: place, zone: place, type: fc.constantFrom('small', 'large') }).map((where) => ({
  ...where,
  provider: 'fake',
  gpu: null,
  spot: false,
  price: { perHour: 1, currency: 'USD' },
  asOf: 0,
  source: 'the test',
  available: null,
}));
const anyElsewhere: fc.Arbitrary<Elsewhere> = fc.record({
  rulesOut: fc.constantFrom('nothing', 'zone', 'region', 'provider'),
  betterZones: fc.array(fc.constantFrom('a', 'b', 'x'), { maxLength: 3 }),
});

test('what is ruled out goes, and nothing else; better zones come first, and all else keeps its order', () => {
  fc.assert(
    fc.property(fc.array(anyOffer, { maxLength: 12 }), anyOffer, anyElsewhere, (offers, tried, elsewhere) => {
      const left = offersLeft(offers, tried, elsewhere);
      const ruledOut = (offer: Offer) =>
        elsewhere.rulesOut === 'provider' ||
        (elsewhere.rulesOut === 'zone' && tried.zone !== null && offer.zone === tried.zone) ||
        (elsewhere.rulesOut === 'region' && tried.region !== null && offer.region === tried.region);
      expect(new Set(left)).toEqual(new Set(offers.filter((offer) => !ruledOut(offer))));
      const better = (offer: Offer) => offer.zone !== null && elsewhere.betterZones?.includes(offer.zone) === true;
      expect(left.map(better)).toEqual([...left.map(better)].sort((a, b) => Number(b) - Number(a)));
      expect(left.filter((offer) => !better(offer))).toEqual(offers.filter((offer) => !ruledOut(offer) && !better(offer)));
    }),
  );
});

test('cooling down loses no offer', () => {
  fc.assert(
    fc.property(fc.array(anyOffer, { maxLength: 12 }), fc.array(anyOffer, { maxLength: 4 }), (offers, outOfStock) => {
      const cooled = coolDown(offers, outOfStock);
      expect(cooled).toHaveLength(offers.length);
      expect(new Set(cooled)).toEqual(new Set(offers));
      const known = (offer: Offer) => outOfStock.some((each) => each.zone === offer.zone && each.region === offer.region && each.type === offer.type);
      expect(cooled.map(known)).toEqual([...cooled.map(known)].sort((a, b) => Number(a) - Number(b)));
    }),
  );
});
