/** Machines as `top` sees them. */
import type { GpuSample, TelemetrySample } from '../../../src/core/job.ts';
import { createTopModel, type TopView } from '../../../src/workflows/top-model.ts';
import { jobEntry, machineEntry, noon } from './entries.ts';

export function gpuSample(changes: Partial<GpuSample> = {}): GpuSample {
  return {
    index: 0,
    uuid: 'GPU-0',
    name: 'NVIDIA L4',
    utilization: 64,
    memoryUtilization: 30,
    memoryUsedBytes: 7.1e9,
    memoryTotalBytes: 23_034 * 2 ** 20,
    powerWatts: 60.2,
    powerLimitWatts: 72,
    temperatureC: 66,
    smClockMhz: 1500,
    smClockMaxMhz: 2040,
    throttle: [],
    eccUncorrected: 0,
    xid: null,
    ...changes,
  };
}

export function telemetrySample(gpus: readonly GpuSample[], changes: Partial<TelemetrySample> = {}): TelemetrySample {
  return {
    t: noon + 725_000,
    source: gpus.length === 0 ? 'none' : 'nvml',
    problem: null,
    gpus,
    processes: gpus.map(({ index }) => ({ gpu: index, pid: 4711 + index, name: 'python3', memoryUsedBytes: 7e9, job: jobEntry(null).id })),
    host: {
      cpus: 8,
      cpu: 34,
      busiestCpu: 98,
      memoryUsedBytes: 6.1e9,
      memoryTotalBytes: 16e9,
      diskReadBytesPerSecond: 12e6,
      diskWriteBytesPerSecond: 1e6,
      diskFreeBytes: 50e9,
      netReceivedBytesPerSecond: 1.2e6,
      netSentBytesPerSecond: 2e5,
    },
    ...changes,
  };
}

export interface Scene {
  readonly gpus?: readonly GpuSample[];
  readonly jobs?: number;
  /** Stands in every name that comes from elsewhere. */
  readonly hostile?: string;
  readonly problem?: string | null;
}

export function topView({ gpus = [gpuSample()], jobs = 1, hostile = '', problem = null }: Scene = {}): TopView {
  const model = createTopModel();
  const machine = machineEntry({ budgetUsd: 3 });
  const sampleOf = (shown: readonly GpuSample[], changes: Partial<TelemetrySample>) => {
    const named = shown.map((gpu) => ({
      ...gpu,
      name: `${gpu.name}${hostile}`,
      throttle: gpu.throttle.map((why) => `${why}${hostile}`) as GpuSample['throttle'],
    }));
    const sample = telemetrySample(named, { problem, ...changes });
    return { ...sample, processes: sample.processes.map((each) => ({ ...each, job: `${each.job}${hostile}` })) };
  };
  model.apply({ type: 'machine', at: noon, machine, spentUsd: 0.12, budget: { usd: 3, spentUsd: 0.12, reached: null, warning: null } });
  model.apply({ type: 'link', at: noon, state: 'connected', text: 'Connected' });
  for (let at = 0; at < 40; at++) {
    const shaken = gpus.map((gpu) => ({
      ...gpu,
      utilization: gpu.utilization === null ? null : Math.abs(Math.round(gpu.utilization * Math.sin(at / 5))),
    }));
    model.apply({ type: 'sample', sample: sampleOf(shaken, { t: noon + (685 + at) * 1000 }) });
  }
  model.apply({ type: 'sample', sample: sampleOf(gpus, {}) });
  const { id, command, createdAt, startedAt } = jobEntry(null);
  const summary = {
    id,
    attempt: 1,
    state: 'running' as const,
    end: null,
    command: `${command} --epochs 5${hostile}`,
    createdAt,
    startedAt,
    endedAt: null,
    logBytes: 0,
    gpus: null,
    givenGpus: null,
    waitsFor: null,
    records: 0,
  };
  const others = Array.from({ length: Math.max(0, jobs - 1) }, (_, at) => ({
    ...summary,
    id: `job-20261121-other${at}${hostile}`,
    state: `queued${hostile}` as 'queued',
    startedAt: null,
    createdAt: noon + at + 1,
  }));
  if (jobs > 0) {
    model.apply({ type: 'jobs', jobs: [summary, ...others] });
    model.apply({ type: 'job', id });
    const record = { type: 'metric', source: 'json', at: 0 } as const;
    for (let step = 1; step <= 120; step++) {
      const values = {
        [`loss${hostile}`]: 2 * Math.exp(-step / 40) + 0.1,
        lr: 3e-4,
        ...(step % 10 === 0 ? { [`val_loss${hostile}`]: 2 * Math.exp(-step / 40) + 0.2 } : {}),
      };
      model.apply({ type: 'record', record: { n: step, t: noon + step * 6000, ...record, values, step: step * 10, epoch: Math.floor(step / 40) + 1 } });
    }
    const lines = Array.from({ length: 120 }, (_, at) => `step ${(at + 1) * 10} loss ${(2 * Math.exp(-at / 40)).toFixed(4)}${hostile}`);
    model.apply({
      type: 'log',
      stream: 'out',
      offset: 0,
      bytes: Buffer.from(`${lines.join('\n')}\n 37%|███▋      | 37/100\r 38%|███▊      | 38/100 [00:01<00:02]`),
    });
  }
  const view = model.view();
  if (view === null) throw new Error('there is no machine');
  return view;
}
