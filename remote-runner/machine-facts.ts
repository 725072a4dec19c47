/** Who and where the runner is, and the machine's GPUs. */
import { execFile } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { availableParallelism, hostname, totalmem, userInfo } from 'node:os';
import type { GpuFacts, MachineFacts } from '../src/protocol/calls.ts';
import type { MachineFolder } from './machine-folder.ts';
import { bootId } from './processes.ts';

export function machineFacts(machine: MachineFolder, runnerVersion: string): MachineFacts {
  const disk = statfsSync(machine.root);
  return {
    runnerVersion,
    nodeVersion: process.versions.node,
    platform: process.platform,
    arch: process.arch,
    hostname: hostname(),
    user: userName(),
    root: machine.root,
    workdir: machine.workdir,
    now: Date.now(),
    bootId: bootId(),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    diskFreeBytes: disk.bavail * disk.bsize,
  };
}

/** In containers a user may have a number and no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? '');
  }
}

const smiFields = ['index', 'name', 'uuid', 'memory.total', 'driver_version'];
const smiWithinMs = 10_000;

export interface GpuReport {
  readonly gpus: GpuFacts[];
  readonly problem: string | null;
}

/** What the driver says, through nvidia-smi; `problem` says why there are none. */
export function askForGpus(): Promise<GpuReport> {
  return new Promise((resolve) => {
    execFile(
      'nvidia-smi',
      [`--query-gpu=${smiFields.join(',')}`, '--format=csv,noheader,nounits'],
      { timeout: smiWithinMs, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        const gpus = error === null ? parseGpus(stdout) : [];
        resolve({ gpus, problem: gpus.length > 0 ? null : gpuProblem(error, stdout, stderr) });
      },
    );
  });
}

/** Lines as `0, NVIDIA H200, GPU-1f..., 143771, 570.86.15`. */
export function parseGpus(csv: string): GpuFacts[] {
  return csv.split('\n').flatMap((line) => {
    const [index, name, uuid, memory, driver] = line.split(',').map((field) => field.trim());
    if (index === undefined || !/^\d+$/.test(index) || name === undefined || uuid === undefined) return [];
    const mebibytes = Number(memory);
    return [{ index: Number(index), name, uuid, memoryBytes: Number.isFinite(mebibytes) ? mebibytes * 1024 * 1024 : null, driver: driver ?? null }];
  });
}

function gpuProblem(error: (Error & { code?: unknown; killed?: boolean }) | null, stdout: string, stderr: string): string {
  if (error === null) return 'nvidia-smi reports no GPU';
  if (error.code === 'ENOENT') return 'nvidia-smi was not found: no NVIDIA driver is installed, or it is not on the PATH';
  if (error.killed === true) return `nvidia-smi did not answer within ${smiWithinMs / 1000} s`;
  const said = (stderr.trim() || stdout.trim()).split('\n')[0] ?? '';
  return `nvidia-smi failed${said === '' ? '' : `: ${said}`}`;
}
