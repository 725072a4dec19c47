/** The GPUs as the driver's own tool tells of them. */
import type { GpuFacts } from '../src/protocol/calls.ts';
import { type BoundedEnd, boundedRun } from './bounded-run.ts';
import { type DriverTrouble, explainTool, noTool, notStarted, silentTool, type ToolProblem, toolEnv } from './driver-tool.ts';

const smiFields = ['index', 'name', 'uuid', 'memory.total', 'driver_version'];
/** The first call loads the driver, which takes seconds a GPU where nothing keeps it loaded. */
const smiWithinMs = 30_000;

export interface GpuReport {
  readonly gpus: GpuFacts[];
  /** In words without a full stop; null: there are GPUs. */
  readonly problem: string | null;
  readonly trouble: DriverTrouble | null;
}

/** What the driver says, through nvidia-smi; `problem` says why there are none. */
export async function askForGpus(env: NodeJS.ProcessEnv = process.env, withinMs = smiWithinMs): Promise<GpuReport> {
  const query = [`--query-gpu=${smiFields.join(',')}`, '--format=csv,noheader,nounits'];
  const end = await boundedRun('nvidia-smi', query, { env: toolEnv(env), withinMs });
  const gpus = end.kind === 'ended' && end.code === 0 ? parseGpus(end.stdout) : [];
  return gpus.length > 0 ? { gpus, problem: null, trouble: null } : { gpus, ...explain(end, withinMs) };
}

/** Lines as `0, NVIDIA H200, GPU-1f..., 143771, 570.86.15`. */
export function parseGpus(csv: string): GpuFacts[] {
  return csv.split('\n').flatMap((line) => {
    const [index, name, uuid, memory, driver] = line.split(',').map((field) => field.trim());
    if (index === undefined || !/^\d{1,4}$/.test(index) || name === undefined || uuid === undefined) return [];
    const mebibytes = Number(memory);
    return [{ index: Number(index), name, uuid, memoryBytes: Number.isFinite(mebibytes) ? mebibytes * 1024 * 1024 : null, driver: driver ?? null }];
  });
}

function explain(end: BoundedEnd, withinMs: number): ToolProblem {
  switch (end.kind) {
    case 'not-found':
      return noTool;
    case 'timed-out':
      return silentTool(withinMs);
    case 'not-started':
      return notStarted(end.problem);
    case 'ended':
      return explainTool(end.code, end.stdout, end.stderr);
  }
}

/** What nvidia-smi writes in place of a fact of a GPU that does not answer: `[Unknown Error]`, `[GPU requires reset]`, `ERR!`. */
export function namesTrouble({ name, uuid }: GpuFacts): string | null {
  const odd = [name, uuid].find((field) => /^\[.*\]$|^ERR!$/.test(field));
  return odd === undefined ? null : `nvidia-smi says ${odd} of it`;
}
