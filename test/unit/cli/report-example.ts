/** A job with everything that a report can show: two GPUs, one of which waits for data, an attempt that was cut short, metrics, checkpoints. */
import type { JobRecord } from '../../../src/core/job.ts';
import { reportOn } from '../../../src/workflows/report.ts';
import type { JobReport } from '../../../src/workflows/report-figures.ts';
import { checkpointRecord, type Entry, endRecord, gpuSpan, metricRecord, recordsAt, spanRecord, stateRecord } from '../workflows/report-records.ts';
import { jobEntry, machineEntry } from './entries.ts';

const name = 'NVIDIA A100-SXM4-80GB';
const card = { name, memoryTotalBytes: 85.9e9, powerLimitWatts: 400 };

export function exampleRecords(hostile = ''): JobRecord[] {
  const entries: Entry[] = [
    [0, stateRecord('queued')],
    [2, stateRecord('setup')],
    [95, stateRecord('running')],
    [1900, stateRecord('running')],
  ];
  for (let at = 100; at < 3600; at += 60) {
    const wave = Math.round(20 + 15 * Math.sin(at / 200));
    const first = gpuSpan(
      { 0: wave, 85: 60 - wave },
      { ...card, starved: wave, memoryPeakBytes: 26e9 + at * 1e6, powerMeanWatts: 300 - 3 * wave, temperatureMaxC: 60 + wave / 4 },
    );
    const second = gpuSpan({ 95: 60 }, { ...card, index: 1, memoryPeakBytes: 31e9, powerMeanWatts: 340, temperatureMaxC: 71 });
    entries.push([at + 60, spanRecord(at, at + 60, [first, second], { cpus: 12, cpuMean: 14 + wave / 5, busiestCpuMean: 97 })]);
  }
  for (let step = 1; step <= 340; step++) {
    const at = 95 + step * 10 + (step > 180 ? 25 : 0);
    const loss = 2.4 * Math.exp(-step / 90) + 0.12 + 0.05 * Math.sin(step * 1.7);
    const values = {
      [`loss${hostile}`]: loss,
      lr: 3e-4 * (1 - step / 340),
      ...(step % 20 === 0 ? { [`val_loss${hostile}`]: loss + 0.1, accuracy: 1 - loss / 3 } : {}),
    };
    entries.push([at, metricRecord(values, step * 50, Math.floor(step / 68) + 1)]);
    if (step % 60 === 0) entries.push([at + 1, checkpointRecord(at, 9)]);
  }
  return recordsAt(...entries, [3600, endRecord()]);
}

/** `hostile`: stands in every name that comes from elsewhere. */
export function exampleReport(hostile = ''): JobReport {
  const job = jobEntry({}, { endedAt: machineEntry().readyAt ?? 0, attempts: 2, command: `python train.py --epochs 5${hostile}` });
  const machine = machineEntry({
    offer: { ...machineEntry().offer, type: 'a2-ultragpu-2g', gpu: { name: 'A100-80GB', count: 2 }, spot: true, price: { perHour: 4.07, currency: 'USD' } },
  });
  return reportOn({ job: { ...job, endedAt: (job.startedAt ?? 0) + 3_505_000 }, machine, jobs: [job], records: exampleRecords(hostile), usd: 4.07 });
}
