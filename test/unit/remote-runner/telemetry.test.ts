/** The call `telemetry`, through a real runner; the driver is a fake. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TelemetrySample } from '../../../src/protocol/telemetry.ts';
import { watchTelemetry } from '../../../src/runner/telemetry.ts';
import { createFakeDriver, type FakeDriver, fakeGpu } from '../../support/fake-gpu/fake-driver.ts';
import { buildRunner, createMachine, kill, processesHolding, runJob, specOf, statesOf, until } from '../../support/runner.ts';

let folder: string;
let script: string;
let driver: FakeDriver;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-telemetry-'));
  script = buildRunner(folder);
  driver = createFakeDriver(folder, [], { compiler: null });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Samples until one of them is `enough`. */
async function samplesUntil(env: NodeJS.ProcessEnv, enough: (sample: TelemetrySample, all: readonly TelemetrySample[]) => boolean): Promise<TelemetrySample[]> {
  await using machine = createMachine(script, { env });
  const client = await machine.connect();
  const samples: TelemetrySample[] = [];
  for await (const sample of watchTelemetry(client, 500)) {
    samples.push(sample);
    if (enough(sample, samples)) break;
  }
  return samples;
}

test('GPUs, what runs on them, and the host around them, again and again; looking more often than it may is refused', async () => {
  await using machine = createMachine(script, { env: { ...driver.env, GPU_RUN_JOB: 'job-a' } });
  const busy = { pid: process.pid, memoryMiB: 1_024, name: '/usr/bin/python3, a, b' };
  driver.become(
    [
      { utilization: 12, processes: [busy] },
      { name: 'NVIDIA L4', throttle: 0x25, unsupported: ['ecc', 'powerMilliwatts'] },
    ],
    {
      unknownFields: ['clocks_event_reasons.active', 'enforced.power.limit', 'ecc.errors.uncorrected.volatile.total'],
    },
  );
  const client = await machine.connect();
  for (const ms of [100, Number.NaN, 1e12]) await expect(watchTelemetry(client, ms).next()).rejects.toMatchObject({ code: 'bad-input' });
  const samples = watchTelemetry(client, 500);
  let now = (await samples.next()).value as TelemetrySample;
  expect(now.host).toMatchObject({ cpu: null, netReceivedBytesPerSecond: null });
  while (now.gpus.length === 0) now = (await samples.next()).value as TelemetrySample;
  expect(now).toMatchObject({ source: 'nvidia-smi', problem: null });
  const [one, two] = now.gpus;
  expect(one).toMatchObject({ index: 0, uuid: fakeGpu(0).uuid, utilization: 12, memoryUsedBytes: 61_440 * 2 ** 20, powerWatts: 612.34, powerLimitWatts: 700 });
  expect(two).toMatchObject({ index: 1, name: 'NVIDIA L4', powerWatts: null, eccUncorrected: null, throttle: ['power-cap', 'sw-thermal'] });

  driver.become([{ utilization: 55, processes: [busy] }, { lost: true }]);
  for await (const sample of samples) {
    if (sample.gpus[0]?.utilization !== 55 || sample.processes.length === 0) continue;
    expect(sample.problem).toBe('a GPU does not answer');
    expect(sample.gpus[1]).toMatchObject({ utilization: null, memoryTotalBytes: null, temperatureC: null });
    expect(sample.processes).toEqual([{ gpu: 0, ...busy, memoryMiB: undefined, memoryUsedBytes: 2 ** 30, job: null }]);
    expect(sample.host.cpu).toBeTypeOf('number');
    expect(sample.host.memoryTotalBytes).toBeGreaterThan(sample.host.memoryUsedBytes ?? Number.POSITIVE_INFINITY);
    expect(sample.host.diskFreeBytes).toBeGreaterThan(0);
    break;
  }
  await until(() => processesHolding(`fake-smi.js ${folder}/gpus.txt`).length === 0, 'the end of nvidia-smi');
});

test('a driver that fails is told in words; without one there is nothing to tell', async () => {
  driver.become([], { fail: 'Failed to initialize NVML: Driver/library version mismatch' });
  const [failing] = await samplesUntil(driver.env, ({ problem }) => problem !== 'the NVIDIA driver has not answered yet');
  expect(failing?.gpus).toEqual([]);
  expect(failing?.problem).toContain('of different versions');
  const [none] = await samplesUntil({ ...process.env, PATH: '/nowhere' }, () => true);
  expect(none).toMatchObject({ source: 'none', problem: null, gpus: [], processes: [] });
});

test('what the machine did while a job ran is in its journal, also when the serving process was killed meanwhile', async () => {
  driver.become([{ utilization: 12 }]);
  await using machine = createMachine(script, { env: driver.env });
  const client = await machine.connect();
  const spec = specOf('until [ -e go ]; do sleep 0.05; done; sleep 1');
  const ended = runJob(client, spec);
  const looks = () => processesHolding(`fake-smi.js ${folder}/gpus.txt`);
  const [serving = 0] = await until(() => (looks().length > 0 ? machine.pids('serve') : null), 'a job under watch');
  const first = looks();
  kill(serving);
  await until(() => !looks().some((pid) => first.includes(pid)), 'the end of its nvidia-smi');
  await until(() => machine.pids('serve').some((pid) => pid !== serving) && looks().length > 0, 'the next serving process');
  driver.become([{ utilization: 12 }]); // counts anew
  await until(() => driver.roundsTold() > 0, 'its first reading');
  writeFileSync(join(machine.workdir, 'go'), '');
  const { records } = await ended;
  const spans = records.flatMap((record) => (record.type === 'telemetry' ? [record] : []));
  expect(spans.length).toBeGreaterThan(0);
  expect(spans.at(-1)?.span).toMatchObject({ source: 'nvidia-smi', gpus: [{ index: 0, name: 'NVIDIA H200', utilizationMean: 12 }] });
  expect(statesOf(records.slice(records.indexOf(spans[0] ?? records[0]!)))).toEqual(['ended']);
  await until(() => looks().length === 0, 'the end of nvidia-smi: no job runs');
});

test('a driver that hangs keeps no job from running, and none from ending', async () => {
  driver.become([{}], { hang: true });
  await using machine = createMachine(script, { env: driver.env });
  const { records, log } = await runJob(await machine.connect(), specOf('echo done; exit 3'));
  expect(log.toString()).toBe('done\n');
  expect(records.at(-1)).toMatchObject({ state: 'ended', end: { code: 3, reason: 'exit' } });
  expect(records.filter(({ type }) => type === 'telemetry')).toMatchObject([{ span: { source: 'none', gpus: [] } }]);
});
