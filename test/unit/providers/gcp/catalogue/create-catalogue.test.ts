import { describe, expect, test } from 'vitest';
import type { CatalogueParts } from '../../../../../src/providers/gcp/catalogue/catalogue.ts';
import { type FakeApi, type FakeApiParts, refused } from './fake-api.ts';
import { bare, failure, l4, need, open, zonesOf } from './open-catalogue.ts';

describe('offers with credentials', () => {
  test('cheapest first, region by region, each zone once, with the price’s date and source', async () => {
    const all = await open({ types: l4 }).offers(need('l4:1'));
    expect(zonesOf(all)).toEqual(['us-east4-c', 'us-central1-a', 'us-central1-b', 'europe-west4-a']);
    expect(all[1]).toEqual({
      provider: 'gcp',
      region: 'us-central1',
      zone: 'us-central1-a',
      type: 'g2-standard-4',
      gpu: { name: 'L4', count: 1 },
      spot: false,
      price: { perHour: expect.closeTo(0.70683 + (100 * 0.1) / 730 + 0.005, 4), currency: 'USD' },
      asOf: Date.UTC(2026, 6, 30),
      source: "Google's price list of 2026-07-30, snapshot",
      egress: { perGb: 0.12, currency: 'USD', asOf: Date.UTC(2026, 6, 30), source: expect.stringContaining('an estimate') },
      available: null,
    });
    const spot = await open({ types: l4 }).offers(need('L4:1', { spot: true }));
    expect(spot.every((offer) => offer.spot && offer.price.perHour < (all[0]?.price.perHour ?? 0))).toBe(true);
  });

  test('the smallest type that fits, and the next one for more vCPUs or memory', async () => {
    const types = { ...l4, 'g2-standard-8': ['us-central1-a'], 'g2-standard-16': ['us-central1-a'] };
    const { offers } = open({ types });
    expect((await offers(need('L4:1', { cpus: 6 }))).map(({ type }) => type)).toEqual(['g2-standard-8']);
    expect((await offers(need('L4:1', { memoryGb: 64, cpus: 13 }))).map(({ type }) => type)).toEqual(['g2-standard-16']);
  });

  test('a GPU keeps the name that it was asked for by, so that the machine is known again', async () => {
    const { offers } = open({ types: { 'a2-highgpu-1g': ['us-central1-a'] } });
    const named = async (name: string) => (await offers(need(`${name}:1`)))[0];
    expect([(await named('A100-40GB'))?.gpu?.name, (await named('a100'))?.gpu?.name]).toEqual(['A100-40GB', 'A100']);
  });

  test('N1 is offered where both the type and so many GPUs are', async () => {
    const types = { 'n1-standard-8': ['us-central1-a', 'us-central1-b', 'us-east1-c'], 'n1-standard-16': ['us-central1-a', 'us-central1-b', 'us-east1-c'] };
    const accelerators = { 'nvidia-tesla-v100': { 'us-central1-a': 8, 'us-east1-c': 1, 'europe-west4-a': 8 } };
    const all = await open({ types, accelerators }).offers(need('V100:2'));
    expect(all.map(({ zone, type, gpu }) => [zone, type, gpu])).toEqual([['us-central1-a', 'n1-standard-16', { name: 'V100', count: 2 }]]);
  });

  test('both kinds of machine with 8 H100 are offered on Spot; on demand the one that is sold so', async () => {
    const types = { 'a3-highgpu-8g': ['us-east4-a'], 'a3-megagpu-8g': ['us-east4-a'] };
    const { offers } = open({ types });
    expect((await offers(need('H100:8', { spot: true }))).map(({ type }) => type)).toEqual(['a3-megagpu-8g', 'a3-highgpu-8g']);
    expect((await offers(need('H100:8'))).map(({ type }) => type)).toEqual(['a3-highgpu-8g']);
  });

  test('regions and zones limit it; an unknown one is named with what was meant', async () => {
    const { offers } = open({ types: l4 });
    expect(zonesOf(await offers(need('L4:1', { regions: ['us-central1'] })))).toEqual(['us-central1-a', 'us-central1-b']);
    expect(zonesOf(await offers(need('L4:1', { regions: ['us-central1-b', 'europe-west4'] })))).toEqual(['us-central1-b', 'europe-west4-a']);
    const unknown = await failure(offers(need('L4:1', { regions: ['us-centrl1'] })));
    expect(unknown).toMatchObject({ code: 'bad-input', message: expect.stringContaining("'us-centrl1'"), retry: 'never' });
    expect(unknown.hints[0]).toBe('Did you mean us-central1?');
  });

  test('a region that is down, or a zone that does not answer, is left out', async () => {
    const { offers, lines } = open({ types: l4, downRegions: ['us-east4'], unreachable: ['zones/us-west1-a'] });
    expect(zonesOf(await offers(need('L4:1')))).toEqual(['us-central1-a', 'us-central1-b', 'europe-west4-a']);
    expect(lines.join()).toContain('us-west1-a');
  });

  test('nowhere is such a machine: says so', async () => {
    const error = await failure(open({ types: {} }).offers(need('L4:1')));
    expect(error).toMatchObject({ code: 'no-capacity', retry: 'elsewhere', elsewhere: { rulesOut: 'provider' } });
    expect(error.message).toContain('g2-standard-4');
  });

  test('forty that start together ask once', async () => {
    let asked = 0;
    const fetch: CatalogueParts['fetch'] = async () => {
      asked += 1;
      return new Response('{}', { status: 404 });
    };
    const { offers, api, clock } = open({ types: l4 }, { fetch });
    const all = await Promise.all(Array.from({ length: 40 }, () => offers(need('L4:1'))));
    expect(all.every((some) => some.length === 4)).toBe(true);
    for (const call of ['listMachineTypes', 'listRegions', 'getProject']) expect(api.calls.filter((name) => name === call)).toHaveLength(1);
    expect(asked).toBe(1);
    await clock.jump(20_000);
    await offers(need('L4:1'));
    expect(api.calls.filter((name) => name === 'listRegions')).toHaveLength(2);
  });

  test('a call that failed is made again, and its failure is passed on as it is', async () => {
    const lost = new Error('reset');
    const fail: Record<string, Error> = { listMachineTypes: lost };
    const { offers } = open({ types: l4, fail });
    await expect(offers(need('L4:1'))).rejects.toBe(lost);
    delete fail['listMachineTypes'];
    expect((await offers(need('L4:1'))).length).toBe(4);
  });

  test('an aborted caller gets its reason, and the others their offers', async () => {
    const { offers } = open({ types: l4 });
    const reason = new Error('left');
    await expect(offers(need('L4:1'), bare, AbortSignal.abort(reason))).rejects.toBe(reason);
    const leaving = new AbortController();
    const [gone, stays] = [offers(need('L4:1'), bare, leaving.signal), offers(need('L4:1'))];
    leaving.abort(reason);
    await expect(gone).rejects.toBe(reason);
    expect((await stays).length).toBe(4);
  });
});

describe('advice on Spot', () => {
  const advice = (obtainability: number, ...zones: string[]) => ({
    recommendations: [{ scores: { obtainability }, shards: zones.map((zone) => ({ zone: `https://x/zones/${zone}` })) }],
  });
  const a100 = { 'a2-highgpu-1g': ['us-central1-a', 'us-central1-b', 'us-east1-b', 'us-west1-b', 'asia-southeast1-b'] };
  const spot = (parts: FakeApiParts) => {
    const opened = open({ types: a100, ...parts });
    return { ...opened, zones: opened.offers(need('A100:1', { spot: true })).then(zonesOf) };
  };

  test('orders zones of a region and regions that cost about the same, and no dearer one is put first', async () => {
    const plain = await spot({}).zones;
    expect(plain).toEqual(['us-central1-a', 'us-central1-b', 'us-east1-b', 'us-west1-b', 'asia-southeast1-b']);
    const ordered = await spot({ advice: { 'us-central1': advice(0.2, 'us-central1-b'), 'us-east1': advice(0.9), 'asia-southeast1': advice(1) } }).zones;
    expect(ordered).toEqual(['us-east1-b', 'us-central1-b', 'us-central1-a', 'us-west1-b', 'asia-southeast1-b']);
  });

  test('asks the first three regions, in the API’s own form', async () => {
    const { zones, api } = spot({});
    await zones;
    expect((api as FakeApi).adviceBodies).toHaveLength(3);
    expect((api as FakeApi).adviceBodies[0]).toEqual({
      distributionPolicy: { targetShape: 'ANY_SINGLE_ZONE', zones: [{ zone: 'zones/us-central1-a' }, { zone: 'zones/us-central1-b' }] },
      instanceFlexibilityPolicy: { instanceSelections: { wanted: { machineTypes: ['a2-highgpu-1g'] } } },
      instanceProperties: { scheduling: { provisioningModel: 'SPOT' } },
      size: 1,
    });
  });

  test('no answer, a failure or nonsense changes nothing; nobody waits long', async () => {
    const plain = await spot({}).zones;
    expect(await spot({ fail: { capacityAdvice: refused('POST advice') } }).zones).toEqual(plain);
    expect(await spot({ advice: { 'us-central1': { recommendations: 7 }, 'us-east1': advice(17), 'us-west1': {} } }).zones).toEqual(plain);
    const late = spot({ advice: { 'us-central1': 'never', 'us-east1': advice(0.9) } });
    await expect.poll(() => late.clock.sleeping).toBe(1);
    await late.clock.advance(400);
    expect((await late.zones)[0]).toBe('us-east1-b');
  });

  test('is not asked for on demand', async () => {
    const { offers, api } = open({ types: a100 });
    await offers(need('A100:1'));
    expect(api.calls).not.toContain('capacityAdvice');
  });
});

describe('offers without credentials', () => {
  const without = (more: Partial<CatalogueParts> = {}) =>
    open(
      {},
      { hasCredentials: async () => false, api: () => Promise.reject(new Error('Google was asked')), fetch: () => Promise.reject(new Error('asked')), ...more },
    );

  test('come from the list that ships, one a region, and nothing is asked', async () => {
    const all = await without().offers(need('L4:1', { spot: true }));
    expect(all.length).toBeGreaterThan(10);
    expect(all.every(({ zone, available, source }) => zone === null && available === null && source.includes('snapshot'))).toBe(true);
    expect(all.map(({ price }) => price.perHour)).toEqual(all.map(({ price }) => price.perHour).sort((a, b) => a - b));
    expect(new Set(all.map(({ region }) => region)).size).toBe(all.length);
  });

  test('a machine without GPU, too', async () => {
    const all = await without().offers(need(null, { cpus: 8, regions: ['us-central1'] }), { diskGb: 30, publicIp: false });
    expect(all.map(({ type, gpu }) => [type, gpu])).toEqual([
      ['e2-standard-8', null],
      ['n1-standard-8', null],
    ]);
    expect(all[1]?.price.perHour).toBeCloseTo(0.38 + 3 / 730, 3);
  });

  test('regions limit it, and zones too', async () => {
    expect(zonesOf(await without().offers(need('L4:1', { regions: ['us-central1-a', 'us-east4'] })))).toEqual([null, 'us-central1-a']);
    expect(await failure(without().offers(need('L4:1', { regions: ['mars-north1'] })))).toMatchObject({ code: 'bad-input' });
    expect(await failure(without().offers(need('L4:1', { regions: ['africa-south1'] })))).toMatchObject({ code: 'no-capacity' });
  });

  test.each([
    ['L4:3', 'bad-input', /^No machine of Compute Engine has 3 x L4: it comes by 1, 2, 4 and 8\.$/, 'Ask for --gpu L4:4.'],
    ['A10:1', 'bad-input', /^Compute Engine has no GPU 'A10'\.$/, 'Did you mean A100?'],
    ['H100:1', 'no-capacity', /^Google does not sell 1 x H100 \(a3-highgpu-1g\) on demand/, 'Add --spot.'],
    [
      'P100:1',
      'no-capacity',
      /^No price of n1-standard-8 with 1 x P100 is known\.$/,
      'With credentials Google is asked for it: gcloud auth application-default login',
    ],
  ])('%s: says why not (%s), and what to do', async (gpu, code, message, hint) => {
    const error = await failure(without().offers(need(gpu)));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message), retry: 'elsewhere' });
    expect(error.hints[0]).toBe(hint);
  });

  test('more vCPUs than the largest has', async () => {
    const error = await failure(without().offers(need('L4:1', { cpus: 64, memoryGb: 500 })));
    expect(error.message).toBe('No machine of Compute Engine with 1 x L4 has 64 vCPUs and 500 GB of memory. The largest is g2-standard-32: 32 vCPUs, 128 GiB.');
  });
});
