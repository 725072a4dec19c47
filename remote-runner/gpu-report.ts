/** The GPUs as the driver's own tool tells of them. */
import { delimiter } from 'node:path';
import type { GpuFacts } from '../src/protocol/calls.ts';
import { type BoundedEnd, boundedRun } from './bounded-run.ts';

const smiFields = ['index', 'name', 'uuid', 'memory.total', 'driver_version'];
/** The first call loads the driver, which takes seconds a GPU where nothing keeps it loaded. */
const smiWithinMs = 30_000;

/** What is wrong with the driver, as far as its tool can tell. */
export type DriverTrouble =
  | 'missing' // no nvidia-smi
  | 'not-loaded' // the tool is there, the kernel module does not answer
  | 'mismatch' // libraries and kernel module are of different versions
  | 'gpu-lost' // a GPU fell off the bus, or has to be reset
  | 'no-device' // the driver works and sees no GPU
  | 'hangs'
  | 'other';

export interface GpuReport {
  readonly gpus: GpuFacts[];
  /** In words without a full stop; null: there are GPUs. */
  readonly problem: string | null;
  readonly trouble: DriverTrouble | null;
}

/** What the driver says, through nvidia-smi; `problem` says why there are none. */
export async function askForGpus(env: NodeJS.ProcessEnv = process.env, withinMs = smiWithinMs): Promise<GpuReport> {
  // Google's container images keep it where no PATH looks.
  const path = [env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin', '/usr/local/nvidia/bin'].join(delimiter);
  const query = [`--query-gpu=${smiFields.join(',')}`, '--format=csv,noheader,nounits'];
  const end = await boundedRun('nvidia-smi', query, { env: { ...env, PATH: path, LC_ALL: 'C' }, withinMs });
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

/** The words of nvidia-smi, as NVIDIA's own forums and many bug reports quote them. */
const words: readonly (readonly [RegExp, DriverTrouble, string])[] = [
  [/version mismatch/i, 'mismatch', 'the driver’s libraries and its kernel module are of different versions'],
  [/(is lost|fallen off the bus|requires? (a )?reset|reboot the system to recover)/i, 'gpu-lost', 'a GPU is lost (fallen off the bus, or in need of a reset)'],
  [/couldn't communicate with the NVIDIA driver|driver not loaded/i, 'not-loaded', 'the NVIDIA driver’s kernel module is not loaded'],
  [/no devices were found/i, 'no-device', 'the NVIDIA driver sees no GPU'],
];

function explain(end: BoundedEnd, withinMs: number): { problem: string; trouble: DriverTrouble } {
  if (end.kind === 'not-found') return { problem: 'nvidia-smi was not found: no NVIDIA driver is installed, or it is not on the PATH', trouble: 'missing' };
  if (end.kind === 'timed-out') return { problem: `nvidia-smi did not answer within ${withinMs / 1000} s`, trouble: 'hangs' };
  if (end.kind === 'not-started') return { problem: `nvidia-smi can not be started: ${end.problem}`, trouble: 'other' };
  const said = (end.stderr.trim() || end.stdout.trim()).split('\n')[0] ?? '';
  const known = words.find(([pattern]) => pattern.test(`${end.stdout}\n${end.stderr}`));
  if (known !== undefined) return { problem: `${known[2]} (nvidia-smi: ${said})`, trouble: known[1] };
  if (end.code === 0) return { problem: 'nvidia-smi reports no GPU', trouble: 'no-device' };
  return { problem: `nvidia-smi failed${said === '' ? ` with exit code ${end.code}` : `: ${said}`}`, trouble: 'other' };
}

/** What nvidia-smi writes in place of a fact of a GPU that does not answer: `[Unknown Error]`, `[GPU requires reset]`, `ERR!`. */
export function namesTrouble({ name, uuid }: GpuFacts): string | null {
  const odd = [name, uuid].find((field) => /^\[.*\]$|^ERR!$/.test(field));
  return odd === undefined ? null : `nvidia-smi says ${odd} of it`;
}
