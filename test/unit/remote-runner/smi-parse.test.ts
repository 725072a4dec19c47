/** What nvidia-smi prints, as users of it have reported it; and whatever it may print. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fullQuery, parseGpuLine, parseProcesses, type Query, queryArguments, unknownField, withoutField } from '../../../remote-runner/smi-parse.ts';
import { throttleReasons } from '../../../remote-runner/throttle.ts';
import type { GpuSample } from '../../../src/protocol/telemetry.ts';
import { isTelemetrySample } from '../../../src/protocol/telemetry-parse.ts';

const query = fullQuery();
const host = openHost();
const isSample = (gpus: readonly GpuSample[]) => isTelemetrySample({ t: 1, source: 'nvidia-smi', problem: null, gpus, processes: [], host });

function openHost() {
  const unknown = { cpu: null, busiestCpu: null, memoryUsedBytes: null, memoryTotalBytes: null, diskReadBytesPerSecond: null };
  return { cpus: 1, ...unknown, diskWriteBytesPerSecond: null, diskFreeBytes: null, netReceivedBytesPerSecond: null, netSentBytesPerSecond: null };
}

const line = (cells: Readonly<Record<string, string>>, given: Query = query) => given.columns.map(({ name }) => cells[name] ?? '[N/A]').join(', ');
const h100 = {
  ...{ index: '3', uuid: 'GPU-6f0c', name: 'NVIDIA H100 80GB HBM3', 'utilization.gpu': '87', 'utilization.memory': '41', 'memory.used': '64512' },
  ...{ 'memory.total': '81559', 'power.draw': '643.17', 'enforced.power.limit': '700.00', 'temperature.gpu': '58', 'clocks.sm': '1755' },
  ...{ 'clocks.max.sm': '1980', 'clocks_event_reasons.active': '0x0000000000000004', 'ecc.errors.uncorrected.volatile.total': '0' },
};

describe('a line of a GPU', () => {
  test('with all that it can tell', () => {
    expect(parseGpuLine(line(h100), query)).toEqual({
      ...{ index: 3, uuid: 'GPU-6f0c', name: 'NVIDIA H100 80GB HBM3', utilization: 87, memoryUtilization: 41, memoryUsedBytes: 64_512 * 2 ** 20 },
      ...{ memoryTotalBytes: 81_559 * 2 ** 20, powerWatts: 643.17, powerLimitWatts: 700, temperatureC: 58, smClockMhz: 1_755, smClockMaxMhz: 1_980 },
      ...{ throttle: ['power-cap'], eccUncorrected: 0, xid: null },
    });
  });

  test.each(['[N/A]', '[Not Supported]', 'N/A', '[Unknown Error]', '[GPU requires reset]', '[Insufficient Permissions]', 'ERR!', '-1', ''])(
    'with %j',
    (odd) => {
      const sample = parseGpuLine(line(Object.fromEntries(Object.keys(h100).map((name) => [name, name === 'index' ? '0' : odd]))), query);
      expect(sample).toMatchObject({ index: 0, utilization: null, memoryUsedBytes: null, powerWatts: null, throttle: [], eccUncorrected: null });
    },
  );

  test('of what was not asked for is none', () => {
    for (const text of ['', 'No devices were found', 'Fri Nov 21 14:00:00 2026', `${line(h100)}, more`, line({ ...h100, index: 'x' })]) {
      expect(parseGpuLine(text, query)).toBeNull();
    }
  });
});

describe('a field that it does not know', () => {
  const drop = (given: Query, name: string) => withoutField(given, unknownField(`Field "${name}" is not a valid field to query.\n\n`) ?? '');

  test('is asked for under its older name, then not at all', () => {
    const older = drop(query, 'clocks_event_reasons.active');
    if (older === null) throw new Error('there is an older name');
    expect(queryArguments(older, 1_000)[0]).toContain('clocks_throttle_reasons.active');
    const without = drop(older, 'clocks_throttle_reasons.active');
    if (without === null) throw new Error('the rest can be asked for');
    expect(queryArguments(without, 1_000)[0]).not.toContain('reasons');
    expect(parseGpuLine(line(h100, without), without)).toMatchObject({ index: 3, throttle: [], utilization: 87 });
  });

  test('can be any but the index; what was not asked for changes nothing', () => {
    expect([drop(query, 'index'), drop(query, 'pstate')]).toEqual([null, null]);
    expect(unknownField('Failed to initialize NVML')).toBeNull();
  });

  test('each in turn: it comes to an end', () => {
    let left: Query | null = query;
    let steps = 0;
    for (; left !== null && left.columns.length > 1; steps += 1) left = drop(left, left.columns.at(-1)?.name ?? '');
    expect(left?.columns).toMatchObject([{ name: 'index' }]);
    expect(steps).toBeGreaterThan(query.columns.length - 1);
  });
});

test('programs on GPUs: names with commas, and GPUs of others', () => {
  const gpus = [parseGpuLine(line(h100), query)].filter((gpu) => gpu !== null);
  const text = 'GPU-6f0c, 77, 1024, python3 a, b.py\nGPU-6f0c, 78, [N/A], [Not Found]\nGPU-other, 79, 1, x\nNo running processes found\n';
  expect(parseProcesses(text, gpus)).toEqual([
    { gpu: 3, pid: 77, name: 'python3 a, b.py', memoryUsedBytes: 2 ** 30 },
    { gpu: 3, pid: 78, name: null, memoryUsedBytes: null },
  ]);
});

test('whatever it prints is a sample that the laptop takes, or none', () => {
  const cell = fc.oneof(
    fc.string(),
    fc.constantFrom('0', '1', '99999999999999999999', '1e9', '0x1FF', '0xffffffffffffffffff', '-0', 'NaN', 'Infinity', '[N/A]', '1.5'),
  );
  fc.assert(
    fc.property(fc.array(cell, { minLength: query.columns.length - 1, maxLength: query.columns.length + 1 }), fc.nat(9_999), (cells, index) => {
      const gpu = parseGpuLine([index, ...cells.slice(1)].join(','), query);
      expect(gpu === null || isSample([gpu])).toBe(true);
      expect(parseProcesses(cells.join(','), gpu === null ? [] : [gpu])).toEqual(expect.any(Array));
    }),
  );
});

test('bits that nobody knows hide none that are known', () => {
  const mask = { ...h100, 'clocks_event_reasons.active': '0x8000000000000024' };
  expect(parseGpuLine(line(mask), query)?.throttle).toEqual(['power-cap', 'sw-thermal']);
});

test('idle is no reason to be slow; every bit but that one has its name', () => {
  expect(throttleReasons(1)).toEqual([]);
  expect(new Set(throttleReasons(0x1ff)).size).toBe(8);
  fc.assert(fc.property(fc.double(), (mask) => throttleReasons(mask).length <= 8));
});
