/** A log that outgrows the disk: what goes, what stays, and who is told. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readGap } from '../../../remote-runner/log-gap.ts';
import { type LogLimit, openLogLimit, tooMuch } from '../../../remote-runner/log-limit.ts';
import type { LogFiles } from '../../../remote-runner/machine-folder.ts';
import { findPunchHole } from '../../../remote-runner/punch-hole.ts';
import type { LogGap } from '../../../src/protocol/log.ts';

let folder: string;
let files: LogFiles;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-limit-'));
  const bytes = join(folder, 'log');
  files = { stream: 'out', bytes, times: `${bytes}.times`, gap: `${bytes}.gap` };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('what has to go', () => {
  test('so much that the rest fits, and never what is gone already or not yet there', () => {
    const mega = 1024 * 1024;
    fc.assert(
      fc.property(fc.array(fc.nat(40 * mega), { maxLength: 12 }), fc.integer({ min: 64 * 1024, max: 100 * mega }), fc.nat(200 * mega), (steps, limit, free) => {
        let size = 0;
        let gone: LogGap | null = null;
        for (const step of steps) {
          size += step;
          const gap = tooMuch(size, gone, limit, free);
          const kept = size - (gone === null ? 0 : gone.to - gone.from);
          const allowed = Math.min(limit, Math.floor((free + kept) / 2));
          if (gap === null) {
            expect(kept).toBeLessThanOrEqual(Math.max(allowed, gone?.from ?? 0) + 4096); // the first part stays, whatever is allowed now
            continue;
          }
          expect(gap.from % 4096).toBe(0);
          expect(gap.to % 4096).toBe(0);
          expect(gap.to).toBeLessThanOrEqual(size);
          expect(gap.to).toBeGreaterThan(gone?.to ?? gap.from);
          if (gone !== null) expect(gap.from).toBe(gone.from);
          expect(size - (gap.to - gap.from)).toBeLessThanOrEqual(Math.max(allowed, gap.from) + 4096);
          gone = gap;
        }
      }),
    );
  });

  test('nothing while it fits', () => {
    expect(tooMuch(10_000_000, null, 10_000_000, 1e12)).toBeNull();
    expect(tooMuch(10_000_000, null, 9_000_000, 1e12)).not.toBeNull();
    expect(tooMuch(10_000_000, null, 1e12, 9_000_000)).not.toBeNull();
  });
});

test('the first part and the newest stay, the space of the rest is free, and all of it is told', async () => {
  const limit = 1024 * 1024;
  let now = 0;
  const log = openLogLimit([files], limit, { now: () => now });
  const printed = Buffer.from(Array.from({ length: 400_000 }, (_, n) => `line ${n}\n`).join(''));
  expect(log.warnings()).toEqual([]);
  for (let at = 0; at < printed.length; at += 500_000) {
    appendFileSync(files.bytes, printed.subarray(at, at + 500_000));
    now += 1_000;
    log.look();
    await log.settled();
  }
  const gap = readGap(files) ?? { from: 0, to: 0 };
  const there = readFileSync(files.bytes);
  expect(there.length).toBe(printed.length);
  expect(there.subarray(0, gap.from).equals(printed.subarray(0, gap.from))).toBe(true);
  expect(there.subarray(gap.to).equals(printed.subarray(gap.to))).toBe(true);
  expect(there.subarray(gap.from, gap.to).every((byte) => byte === 0)).toBe(true);
  expect(gap.from).toBeGreaterThan(0);
  expect(statSync(files.bytes).blocks * 512).toBeLessThan(limit + 500_000);
  expect(log.warnings()).toEqual([expect.stringMatching(/^The log has outgrown its limit of 1 MiB: .*what lies between goes/)]);
  // Whoever watches next knows it, too.
  expect(openLogLimit([files], limit).warnings()).toEqual([expect.stringContaining('what lies between goes')]);
});

/** Prints six times two megabytes, with a look after each. */
async function printed(limit: LogLimit, clock: { now: number }): Promise<void> {
  for (let round = 0; round < 6; round++) {
    appendFileSync(files.bytes, Buffer.alloc(2 ** 21, 'x'));
    clock.now += 1_000;
    limit.look();
    await limit.settled();
  }
}

/** On the disk no more than what is not said to be gone. */
function expectFreed(): void {
  const { size, blocks } = statSync(files.bytes);
  const { from, to } = readGap(files) ?? { from: 0, to: 0 };
  expect(to - from).toBeGreaterThan(6e6);
  expect(blocks * 512).toBeLessThanOrEqual(size - (to - from) + 16_384);
}

const roomy = () => ({ free: 1e12, total: 1e12 });
const diskFull = () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });

test('what could not be punched out once is so with the next part', async () => {
  const clock = { now: 0 };
  const real = await findPunchHole(folder);
  let failures = 1;
  const find = async () => async (file: string, from: number, to: number) => {
    if (failures-- > 0) throw new Error('fallocate was killed');
    await real?.(file, from, to);
  };
  await printed(openLogLimit([files], 2 ** 22, { now: () => clock.now, disk: roomy, find }), clock);
  expectFreed();
});

test('a disk too full to look for a way: the reserve makes room, and is set again', async () => {
  const clock = { now: 0 };
  const steps: string[] = [];
  const reserve = { free: () => void steps.push('free'), set: () => void steps.push('set') };
  const find = async (place: string) => {
    if (steps.length === 0) throw diskFull();
    return await findPunchHole(place);
  };
  const limit = openLogLimit([files], 2 ** 22, { now: () => clock.now, disk: roomy, find, reserve });
  await printed(limit, clock);
  expectFreed();
  expect(steps).toEqual(['free', 'set']);
  expect(limit.warnings()).toEqual([expect.stringContaining('what lies between goes')]);
  await expect(findPunchHole(folder, [() => Promise.reject(diskFull())])).rejects.toThrow('no space');
});

test('without a way to make holes nothing is lost, and that is said', async () => {
  const printed = Buffer.alloc(300_000, 'x');
  writeFileSync(files.bytes, printed);
  const log = openLogLimit([files], 100_000, { find: (place) => findPunchHole(place, [async () => Promise.reject(new Error('not supported'))]) });
  log.look();
  await log.settled();
  expect(readFileSync(files.bytes).equals(printed)).toBe(true);
  expect(existsSync(files.gap)).toBe(false);
  expect(log.warnings()).toEqual([expect.stringContaining("can't be shortened")]);
});

test.skipIf(!existsSync('/usr/bin/python3'))('where there is no fallocate, or one that makes no holes, Python does it', async () => {
  const path = process.env['PATH'];
  symlinkSync('/usr/bin/python3', join(folder, 'python3'));
  writeFileSync(join(folder, 'fallocate'), '#!/bin/sh\necho "fallocate: unrecognized option: punch-hole" >&2; exit 1\n', { mode: 0o755 });
  try {
    process.env['PATH'] = `${folder}:/bin`;
    const punch = await findPunchHole(folder);
    writeFileSync(files.bytes, Buffer.alloc(64 * 1024, 'x'));
    await punch?.(files.bytes, 4096, 60 * 1024);
  } finally {
    process.env['PATH'] = path;
  }
  expect(statSync(files.bytes).blocks * 512).toBeLessThanOrEqual(16 * 1024);
  expect(statSync(files.bytes).size).toBe(64 * 1024);
});

test('a way that claims to work and does not is not taken', async () => {
  expect(await findPunchHole(folder, [async () => {}])).toBeNull();
  expect(await findPunchHole(folder, [async (file) => writeFileSync(file, Buffer.alloc(8192))])).toBeNull();
});

test('a disk that is nearly full is told until there is room again', () => {
  let now = 0;
  let free = 10;
  writeFileSync(files.bytes, '');
  const log = openLogLimit([files], 1e9, { now: () => now, disk: () => ({ free, total: 100 }) });
  const told = [10, 4, 6, 8].map((left) => {
    free = left;
    now += 1_000;
    log.look();
    return log.warnings().length;
  });
  expect(told).toEqual([0, 1, 1, 0]);
});

test('the warning says whether the limit or the disk was it, and the limit as it is written', async () => {
  const told = async (limit: number, free: number) => {
    rmSync(files.gap, { force: true });
    writeFileSync(files.bytes, Buffer.alloc(4_000_000, 'line\n'));
    const log = openLogLimit([files], limit, { disk: () => ({ free, total: 0 }) });
    log.look();
    await log.settled();
    return log.warnings()[0]?.split(':')[0];
  };
  expect(await told(10 * 2 ** 30, 1_000_000)).toBe("The log has outgrown half of what the machine's disk has free without it");
  expect(await told(1_500_000, 1e12)).toBe('The log has outgrown its limit of 1.5 MB');
  expect(openLogLimit([files], 10 * 2 ** 30).warnings()[0]).toContain('its limit of 10 GiB, or half of');
});
