/** `report --json`. Times are seconds, sizes bytes, money US dollars, shares 0 to 1, utilisation per cent; null: not known. */
import type { JobReport } from '../../workflows/report-figures.ts';
import { isoTime, jobDocument, machineDocument } from './documents.ts';

export function reportDocument(report: JobReport): object {
  const { job, machine, asOf, attempts, times, gpus, host, training, checkpoints, cost, advice, warnings, unknown } = report;
  return {
    job: jobDocument(job),
    machine: machineDocument(machine),
    asOf: isoTime(asOf),
    attempts,
    seconds: times,
    gpus: gpus.map(({ seconds, utilizationMean, utilizationP50, ...gpu }) => ({
      ...gpu,
      watchedSeconds: seconds,
      utilization: { mean: utilizationMean, p50: utilizationP50 },
    })),
    host,
    training,
    checkpoints,
    cost,
    advice,
    warnings,
    unknown,
  };
}
