/** The public SDK: `import { gpuRun } from 'gpu-run'`. Re-exports only; every call runs the same workflow as the command of that name. */

export type { Attempt, BackOff, Elsewhere, ErrorCode, Retry } from './core/errors.ts';
export { GpuRunError, LeaveRunning } from './core/errors.ts';
export type { JobEnd, JobEntry, JobState } from './core/job.ts';
export type { Report, Reporter } from './core/reporter.ts';
export type { MachineEntry } from './ledger/ledger.ts';
export type { GpuRun, GpuRunOptions, UpOptions, WholeTrainOptions } from './sdk/gpu-run.ts';
export { createGpuRun, gpuRun } from './sdk/gpu-run.ts';
export type { Job, Machine } from './sdk/machine.ts';
export type { TrainOptions } from './sdk/train-options.ts';
export type { JobEvent } from './workflows/job-event.ts';
export type { JobReport } from './workflows/report-figures.ts';
export type { TrainResult } from './workflows/train-input.ts';
