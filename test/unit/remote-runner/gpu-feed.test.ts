/** GPUs through NVML and through nvidia-smi, in real processes; the driver is a fake. Both have to say the same. */
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type FeedTimes, feedTimes, type GpuFeed, type GpuReading } from '../../../remote-runner/gpu-feed.ts';
import { openNvmlFeed } from '../../../remote-runner/nvml-feed.ts';
import { mostEntryBytes, parseProcessInfos, unwritten } from '../../../remote-runner/nvml-processes.ts';
import { openGpuFeed } from '../../../remote-runner/open-gpu-feed.ts';
import { openSmiFeed } from '../../../remote-runner/smi-feed.ts';
import { koffiFileName } from '../../../src/protocol/native.ts';
import { createFakeDriver, type FakeDriver, type FakeGpu, fakeGpu } from '../../support/fake-gpu/fake-driver.ts';
import { findCompiler } from '../../support/fake-gpu/fake-gpu.ts';
import { koffiModule } from '../../support/koffi.ts';
import { buildRunner, kill, processesHolding, until } from '../../support/runner.ts';

const compiler = findCompiler();
const koffi = koffiModule();
const hasNvml = compiler !== null && koffi !== null;

let folder: string;
let script: string;
let koffiFile: string;
let driver: FakeDriver;
const open = new Set<GpuFeed>();
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-feed-'));
  script = buildRunner(join(folder, 'runner'));
  mkdirSync(join(folder, 'native'));
  koffiFile = join(folder, 'native', koffiFileName(process.arch));
  if (koffi !== null) copyFileSync(koffi, koffiFile);
  driver = createFakeDriver(folder, [], { compiler });
});
afterEach(() => {
  for (const feed of open) feed.close();
  open.clear();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Short only where it is what the test waits for: a program may take seconds to start on a busy computer. */
const impatient = { ...feedTimes, nextWithin: 300, again: 300, longestAgain: 300 };
const options = () => ({ env: driver.env, everyMs: 50, withProcesses: true });
const keep = <T extends GpuFeed>(feed: T): T => {
  open.add(feed);
  return feed;
};
const unusable = () => {
  throw new Error('NVML should be usable here');
};
const nvml = (more: { readonly driver?: FakeDriver; readonly times?: FeedTimes; readonly onUnusable?: () => void } = {}) =>
  keep(
    openNvmlFeed({
      ...options(),
      env: (more.driver ?? driver).env,
      times: more.times ?? feedTimes,
      script,
      koffiFile,
      onUnusable: more.onUnusable ?? unusable,
    }),
  );
const readingWhere = (feed: GpuFeed, is: (reading: GpuReading) => boolean, what: string) =>
  until(() => {
    const reading = feed.latest();
    return reading !== null && is(reading) ? reading : null;
  }, what);
const firstOf = (feed: GpuFeed) => readingWhere(feed, ({ gpus }) => gpus.length > 0, 'a reading');
/** Those of our programs that look at GPUs. */
const lookers = () => [...processesHolding(`fake-smi.js ${folder}`), ...processesHolding(`nvml ${koffiFile}`)];

const trainer = { pid: 4_711, memoryMiB: 51_200, name: '/opt/conda/bin/python3' };
const mixed: readonly Partial<FakeGpu>[] = [
  { processes: [trainer, { pid: 4_712, memoryMiB: 10, name: 'two, of them' }] },
  { name: 'NVIDIA L4', utilization: 0, throttle: 0x1e4, powerMilliwatts: 71_990, ecc: 3, memoryUsedMiB: 1 },
  {
    name: 'Tesla T4',
    throttle: 0x1,
    unsupported: ['powerMilliwatts', 'powerLimitMilliwatts', 'ecc', 'smClockMax', 'utilization', 'memoryUtilization', 'throttle'],
  },
];

test.runIf(hasNvml)('NVML and nvidia-smi tell the same', async () => {
  driver.become(mixed);
  const smi = await readingWhere(keep(openSmiFeed(options())), ({ processes }) => processes.length > 0, 'processes by nvidia-smi');
  const byNvml = await firstOf(nvml());
  expect(byNvml).toEqual({ ...smi, source: 'nvml' });
  expect(byNvml.gpus[1]).toMatchObject({
    throttle: ['power-cap', 'sw-thermal', 'hw-thermal', 'hw-power-brake', 'display-clocks'],
    powerWatts: 71.99,
    eccUncorrected: 3,
  });
  expect(byNvml.gpus[2]).toMatchObject({ throttle: [], powerWatts: null, powerLimitWatts: null, eccUncorrected: null, smClockMaxMhz: null, utilization: null });
  expect(byNvml.processes[0]).toEqual({ gpu: 0, pid: 4_711, memoryUsedBytes: 51_200 * 2 ** 20, name: '/opt/conda/bin/python3' });
});

describe.runIf(hasNvml)('NVML', () => {
  test('of an old driver', async () => {
    const oldFolder = join(folder, 'old');
    mkdirSync(oldFolder);
    const old = createFakeDriver(oldFolder, [{ throttle: 0x48, processes: [trainer] }], { compiler, old: true });
    const { gpus, processes } = await firstOf(nvml({ driver: old }));
    expect(gpus).toMatchObject([{ ...{ uuid: fakeGpu(0).uuid, utilization: 97 }, throttle: ['hw-slowdown', 'hw-thermal'], xid: null }]);
    expect(gpus[0]?.memoryUsedBytes).toBe((61_440 + 500) * 2 ** 20); // it counts what the driver keeps for itself
    expect(processes).toEqual([{ gpu: 0, pid: 4_711, memoryUsedBytes: 51_200 * 2 ** 20, name: null }]);
  });

  test('with more processes than there was room for, in entries of 32 bytes', async () => {
    const many = Array.from({ length: 40 }, (_, index) => ({ pid: 1_000 + index, memoryMiB: index, name: `worker ${index}` }));
    driver.become([{}, { processes: many }, { processes: [trainer] }], { entryBytes: 32 });
    const { processes } = await firstOf(nvml());
    expect(processes.map(({ gpu, pid, memoryUsedBytes }) => [gpu, pid, memoryUsedBytes])).toEqual([
      ...many.map(({ pid, memoryMiB }) => [1, pid, memoryMiB * 2 ** 20]),
      [2, 4_711, 51_200 * 2 ** 20],
    ]);
  });

  test('with entries of any size in its list of processes', () => {
    const entry = fc.record({ pid: fc.nat(4_194_304), used: fc.bigInt({ min: 0n, max: 2n ** 38n }) });
    fc.assert(
      fc.property(fc.constantFrom(16, 24, 32), fc.array(entry, { maxLength: 20 }), fc.nat(5), (size, entries, room) => {
        const buffer = Buffer.alloc((entries.length + room) * mostEntryBytes, unwritten);
        for (const [index, { pid, used }] of entries.entries()) {
          buffer.fill(0xff, index * size + 16, (index + 1) * size); // instances: none
          buffer.writeUInt32LE(pid, index * size);
          buffer.writeBigUInt64LE(used, index * size + 8);
        }
        expect(parseProcessInfos(buffer, entries.length)).toEqual(entries);
      }),
    );
  });

  test('tells of XID errors and of a GPU that is lost, and of the others as before', async () => {
    driver.become([{}, {}]);
    const feed = nvml();
    expect((await firstOf(feed)).gpus.map(({ xid }) => xid)).toEqual([null, null]);
    driver.become([{ utilization: 50 }, { lost: true, xid: 79 }]);
    const { gpus, problem } = await readingWhere(feed, (reading) => reading.problem !== null, 'a problem');
    expect(problem).toBe('GPU 1 is lost (fallen off the bus, or in need of a reset)');
    expect(gpus[0]).toMatchObject({ utilization: 50, xid: null });
    expect(gpus[1]).toMatchObject({ name: 'NVIDIA H200', xid: 79, utilization: null, memoryTotalBytes: null, powerWatts: null, throttle: [] });
  });

  test('of a GPU without memory of its own is asked on and on by the same process', async () => {
    const unsupported = ['memoryTotalMiB', 'memoryUsedMiB'] as const;
    driver.become([{ unsupported }]);
    const feed = nvml();
    await firstOf(feed);
    const before = lookers();
    for (let utilization = 1; utilization <= 8; utilization += 1) {
      driver.become([{ unsupported, utilization }]);
      const { gpus } = await readingWhere(feed, (reading) => reading.gpus[0]?.utilization === utilization, 'the next reading');
      expect(gpus[0]).toMatchObject({ memoryTotalBytes: null, memoryUsedBytes: null, temperatureC: 61 });
    }
    expect(lookers()).toEqual(before);
  });

  test('that hangs is given up, and asked again', async () => {
    driver.become([{}]);
    const feed = nvml({ times: impatient });
    await firstOf(feed);
    driver.become([{}], { hang: true });
    const { problem, gpus } = await readingWhere(feed, (reading) => reading.problem !== null, 'the end of patience');
    expect(problem).toContain('did not answer within');
    expect(gpus).toEqual([]);
    driver.become([{ utilization: 3 }]);
    expect((await firstOf(feed)).gpus[0]?.utilization).toBe(3);
  });

  test('ends with whoever asked, however that one ends, also while it hangs', async () => {
    driver.become([{}], { hang: true });
    const inner = `require('node:child_process').spawn(process.execPath, ${JSON.stringify([script, 'nvml', koffiFile, '50', 'gpus'])}, { stdio: ['pipe', 'inherit', 'inherit'] })`;
    const parent = spawn(process.execPath, ['-e', inner], { env: driver.env, stdio: 'ignore' });
    const hanging = () => processesHolding(`nvml ${koffiFile} 50 gpus`).filter((pid) => pid !== parent.pid);
    const isInLibrary = (pid: number) => readFileSync(`/proc/${pid}/maps`, 'latin1').includes('libnvidia-ml');
    await until(() => hanging().some(isInLibrary), 'the call that hangs'); // earlier it would end by itself
    kill(parent.pid ?? 0);
    await until(() => hanging().length === 0, 'its end');
  });
});

describe('what takes over when NVML is not to be had', () => {
  test.runIf(koffi !== null)('without the library: nvidia-smi', async () => {
    driver.become([{ utilization: 7 }]);
    const feed = keep(openGpuFeed(script, { ...options(), env: { ...driver.env, LD_LIBRARY_PATH: '/nowhere' } }));
    const { source, gpus } = await firstOf(feed);
    expect([source, gpus[0]?.utilization]).toEqual(['nvidia-smi', 7]);
  });

  test('with a native module that does not run here: nvidia-smi', async () => {
    const elsewhere = join(folder, 'broken');
    const other = buildRunner(join(elsewhere, 'runner'));
    mkdirSync(join(elsewhere, 'native'));
    writeFileSync(join(elsewhere, 'native', koffiFileName(process.arch)), 'not a module');
    driver.become([{ utilization: 8 }]);
    const { source, gpus } = await firstOf(keep(openGpuFeed(other, options())));
    expect([source, gpus[0]?.utilization]).toEqual(['nvidia-smi', 8]);
  });

  test.runIf(hasNvml)('with all of it: NVML', async () => {
    driver.become([{ utilization: 9 }]);
    const { source, gpus } = await firstOf(keep(openGpuFeed(script, options())));
    expect([source, gpus[0]?.utilization]).toEqual(['nvml', 9]);
  });
});

test('what finds no GPU is asked less and less often', async () => {
  const starts = join(folder, 'starts');
  const blind = join(folder, 'blind.mjs');
  const says = '{"gpus":[],"processes":[],"problem":null}';
  writeFileSync(blind, `import { appendFileSync } from 'node:fs'; appendFileSync(${JSON.stringify(starts)}, Date.now() + ' '); console.log('${says}');`);
  keep(openNvmlFeed({ ...options(), script: blind, koffiFile: 'none', onUnusable: unusable, times: { ...feedTimes, again: 100 } }));
  const times = await until(() => {
    const found = existsSync(starts) ? readFileSync(starts, 'utf8').trim().split(' ').map(Number) : [];
    return found.length >= 4 ? found : null;
  }, 'the fourth start');
  expect((times[3] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(100 + 200 + 400);
});

describe('nvidia-smi', () => {
  test('that dies is started again', async () => {
    driver.become([{ utilization: 1 }]);
    const feed = keep(openSmiFeed({ ...options(), times: { ...feedTimes, again: 50 } }));
    await firstOf(feed);
    for (const pid of processesHolding(`fake-smi.js ${folder}`)) kill(pid);
    driver.become([{ utilization: 2 }]);
    await readingWhere(feed, ({ gpus }) => gpus[0]?.utilization === 2, 'its next life');
  });

  test('that hangs is given up, and asked again', async () => {
    driver.become([{}], { hang: true });
    const times = { ...impatient, firstWithin: 300 };
    const feed = keep(openSmiFeed({ ...options(), times }));
    expect((await readingWhere(feed, () => true, 'the end of patience')).problem).toContain('did not answer within');
    times.firstWithin = feedTimes.firstWithin;
    driver.become([{ utilization: 4 }]);
    expect((await firstOf(feed)).gpus[0]?.utilization).toBe(4);
  });
});

test('nothing is left running once nobody looks', async () => {
  driver.become([{}]);
  const feeds = [keep(openSmiFeed(options())), ...(hasNvml ? [nvml()] : [])];
  await Promise.all(feeds.map(firstOf));
  for (const feed of feeds) feed.close();
  await until(() => lookers().length === 0, 'their end');
});
