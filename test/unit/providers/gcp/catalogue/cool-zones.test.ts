import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { coolZones } from '../../../../../src/providers/gcp/catalogue/cool-zones.ts';
import { createFakeClock } from '../../../../../src/testing/fake-clock.ts';

const place = { project: 'p1', zone: 'us-central1-a', gpu: 'L4' };

describe('zones that were out of stock', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gcp-cool-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('are remembered for half an hour, each for its own project, zone and GPU', async () => {
    const clock = createFakeClock();
    const cool = coolZones(join(folder, 'new'), clock);
    expect(cool.has(place)).toBe(false);
    cool.add(place);
    await clock.jump(20 * 60_000);
    cool.add({ ...place, gpu: null });
    expect(cool.has(place)).toBe(true);
    for (const other of [{ project: 'p2' }, { zone: 'us-central1-b' }, { gpu: 'T4' }]) expect(cool.has({ ...place, ...other })).toBe(false);
    await clock.jump(10 * 60_000);
    expect([cool.has(place), cool.has({ ...place, gpu: null })]).toEqual([false, true]);
    expect(readdirSync(join(folder, 'new'))).toEqual(['gcp-out-of-stock.json']);
  });

  test.each(['', '[]', '7', '{"p1/us-central1-a/L4":"x"}', '{"p1/us-central1-a/L4":1e300}'])('a damaged file (%s) is as none', (text) => {
    writeFileSync(join(folder, 'gcp-out-of-stock.json'), text);
    const cool = coolZones(folder, createFakeClock());
    expect(cool.has(place)).toBe(false);
    cool.add(place);
    expect(cool.has(place)).toBe(true);
  });

  test('a folder that can’t be written costs only the memory', () => {
    mkdirSync(join(folder, 'gcp-out-of-stock.json'));
    const cool = coolZones(folder, createFakeClock());
    expect(() => cool.add(place)).not.toThrow();
    expect(cool.has(place)).toBe(false);
  });
});
