/** The host around the GPUs: CPUs, memory, disks and network, as rates between two looks. On a system without /proc nothing but the CPUs' number is known. */
import { statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { HostSample } from '../src/protocol/telemetry.ts';
import { type CgroupLimits, openCgroup } from './cgroup.ts';
import { readProc } from './proc-file.ts';
import { type ByteCounters, type CpuTimes, parseAllowedCpus, parseCpuTimes, parseDisks, parseMemory, parseNetwork } from './proc-parse.ts';

export interface HostLook {
  /** Reads a handful of small files: a fraction of a millisecond. */
  look(): HostSample;
}

export interface HostLookOptions {
  readonly workdir: string;
  /** Where proc and sys are found; default `/`. */
  readonly root?: string;
  /** Milliseconds that only grow. */
  readonly now?: () => number;
}

interface Counters {
  readonly at: number;
  readonly cpus: readonly CpuTimes[];
  /** Of the control group, where its CPU time is limited. */
  readonly cpuUsedMs: number | null;
  readonly disks: ByteCounters | null;
  readonly network: ByteCounters | null;
}

/** Between two looks that are closer than this, clock ticks are too coarse to tell. */
const shortestMs = 50;

export function openHostLook({ workdir, root = '/', now = () => performance.now() }: HostLookOptions): HostLook {
  const proc = (name: string) => readProc(join(root, 'proc', name)) ?? '';
  const allowed = parseAllowedCpus(proc('self/status'));
  const limits = openCgroup(root);
  const count = (): Counters => ({
    at: now(),
    cpus: parseCpuTimes(proc('stat')).filter(({ cpu }) => allowed?.has(cpu) ?? true),
    cpuUsedMs: limits.cpu?.usedMs() ?? null,
    disks: parseDisks(proc('diskstats')),
    network: parseNetwork(proc('net/dev')),
  });
  let last: Counters | null = null;
  return {
    look() {
      const before = last;
      const after = count();
      const isNew = before === null || after.at - before.at >= shortestMs;
      if (isNew) last = after;
      const comparable = isNew ? before : null;
      const disks = rates(comparable, after, 'disks');
      const network = rates(comparable, after, 'network');
      return {
        cpus: cpuCount(after, limits),
        ...cpuUse(comparable, after, limits),
        ...memoryUse(proc('meminfo'), limits),
        diskReadBytesPerSecond: disks.in,
        diskWriteBytesPerSecond: disks.out,
        diskFreeBytes: freeBytes(workdir),
        netReceivedBytesPerSecond: network.in,
        netSentBytesPerSecond: network.out,
      };
    },
  };
}

function cpuCount({ cpus }: Counters, { cpu }: CgroupLimits): number {
  const there = cpus.length > 0 ? cpus.length : availableParallelism();
  return cpu === null ? there : Math.max(1, Math.min(there, Math.round(cpu.cpus)));
}

function cpuUse(before: Counters | null, after: Counters, { cpu }: CgroupLimits): Pick<HostSample, 'cpu' | 'busiestCpu'> {
  if (before === null) return { cpu: null, busiestCpu: null };
  const earlier = new Map(before.cpus.map((each) => [each.cpu, each]));
  const spent = after.cpus.flatMap((each) => {
    const was = earlier.get(each.cpu);
    const all = each.all - (was?.all ?? Number.POSITIVE_INFINITY);
    return was === undefined || all <= 0 ? [] : [{ busy: each.busy - was.busy, all }];
  });
  if (spent.length === 0) return { cpu: null, busiestCpu: null };
  const share = (of: readonly { readonly busy: number; readonly all: number }[]) =>
    perCent(
      of.reduce((total, { busy }) => total + busy, 0),
      of.reduce((total, { all }) => total + all, 0),
    );
  const isWhole = cpu === null || before.cpuUsedMs === null || after.cpuUsedMs === null;
  return {
    cpu: isWhole ? share(spent) : perCent(after.cpuUsedMs - before.cpuUsedMs, (after.at - before.at) * cpu.cpus),
    busiestCpu: Math.max(...spent.map((each) => share([each]))),
  };
}

function perCent(part: number, whole: number): number {
  return Math.min(100, Math.max(0, (part / whole) * 100));
}

function memoryUse(meminfo: string, { memory }: CgroupLimits): Pick<HostSample, 'memoryUsedBytes' | 'memoryTotalBytes'> {
  const { usedBytes, totalBytes } = parseMemory(meminfo);
  if (memory === null || (totalBytes !== null && totalBytes <= memory.limitBytes)) return { memoryUsedBytes: usedBytes, memoryTotalBytes: totalBytes };
  return { memoryUsedBytes: memory.usedBytes(), memoryTotalBytes: memory.limitBytes };
}

/** Bytes a second; null when it can't be told, as when a disk or an interface went away in between. */
function rates(before: Counters | null, after: Counters, of: 'disks' | 'network'): { readonly in: number | null; readonly out: number | null } {
  const from = before?.[of] ?? null;
  const to = after[of];
  if (before === null || from === null || to === null) return { in: null, out: null };
  const rate = (bytes: number) => (bytes < 0 ? null : Math.round((bytes * 1_000) / (after.at - before.at)));
  return { in: rate(to.in - from.in), out: rate(to.out - from.out) };
}

function freeBytes(folder: string): number | null {
  try {
    const disk = statfsSync(folder);
    return disk.bavail * disk.bsize;
  } catch {
    return null;
  }
}
