/**
 * What a container, or a job of a batch system, may use of the machine: control groups of either version, as the kernel's
 * documentation describes them (admin-guide/cgroup-v1 and cgroup-v2).
 */
import { join } from 'node:path';
import { readProc } from './proc-file.ts';

/** What is limited; null: nothing. */
export interface CgroupLimits {
  readonly memory: {
    readonly limitBytes: number;
    /** Without the file cache that can be given back at once; null: not told. */
    readonly usedBytes: () => number | null;
  } | null;
  readonly cpu: {
    /** How many CPUs' time it gets; may be a fraction. */
    readonly cpus: number;
    /** Time used so far, milliseconds of one CPU; null: not told. */
    readonly usedMs: () => number | null;
  } | null;
}

interface Group {
  readonly version: 1 | 2;
  /** Its folder, and those of the groups around it. */
  readonly folders: readonly string[];
}

/** The limits are looked up once: they hardly ever change. `root`: where proc and sys are found. */
export function openCgroup(root: string): CgroupLimits {
  const own = readProc(join(root, 'proc/self/cgroup')) ?? '';
  return { memory: memoryLimit(groupsOf(root, own, 'memory')), cpu: cpuLimit(groupsOf(root, own, 'cpu'), root, own) };
}

/** Lines as `4:memory:/docker/1f...` (version 1) and `0::/user.slice` (version 2). */
function groupsOf(root: string, own: string, controller: string): Group[] {
  return own.split('\n').flatMap((line): Group[] => {
    const [, id, names = '', path = ''] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (id === undefined || (names !== '' && !names.split(',').includes(controller))) return [];
    const mounts = names === '' ? ['', 'unified'] : [names, controller];
    return mounts.map((mount) => ({ version: names === '' ? 2 : 1, folders: upwards(join(root, 'sys/fs/cgroup', mount), path) }));
  });
}

/** A container may see its own group as the root of all, whatever path it is told. */
function upwards(mount: string, path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '..');
  return [...names.map((_, index) => join(mount, ...names.slice(0, names.length - index))), mount];
}

function memoryLimit(groups: readonly Group[]): CgroupLimits['memory'] {
  const limits = groups.flatMap(({ version, folders }) =>
    folders.flatMap((folder) => {
      const limitBytes = numberIn(join(folder, version === 2 ? 'memory.max' : 'memory.limit_in_bytes'));
      return limitBytes === null ? [] : [{ limitBytes, usedBytes: () => memoryUse(folder, version) }];
    }),
  );
  return limits.sort((a, b) => a.limitBytes - b.limitBytes)[0] ?? null;
}

function memoryUse(folder: string, version: 1 | 2): number | null {
  const used = numberIn(join(folder, version === 2 ? 'memory.current' : 'memory.usage_in_bytes'));
  const stat = readProc(join(folder, 'memory.stat')) ?? '';
  const cache = new RegExp(`^${version === 2 ? 'inactive_file' : 'total_inactive_file'} (\\d+)$`, 'm').exec(stat)?.[1];
  return used === null ? null : Math.max(0, used - Number(cache ?? 0));
}

function cpuLimit(groups: readonly Group[], root: string, own: string): CgroupLimits['cpu'] {
  const limits = groups.flatMap(({ version, folders }) =>
    folders.flatMap((folder, index) => {
      const cpus = version === 2 ? quota(...splitMax(readProc(join(folder, 'cpu.max')))) : quota(...splitQuota(folder));
      if (cpus === null) return [];
      const usedMs = version === 2 ? () => usedByStat(folder) : () => usedByAccount(groupsOf(root, own, 'cpuacct'), index);
      return [{ cpus, usedMs }];
    }),
  );
  return limits.sort((a, b) => a.cpus - b.cpus)[0] ?? null;
}

function splitMax(text: string | null): [number, number] {
  const [given = Number.NaN, period = Number.NaN] = (text ?? '').trim().split(' ').map(Number);
  return [given, period];
}

function splitQuota(folder: string): [number, number] {
  return [numberIn(join(folder, 'cpu.cfs_quota_us')) ?? Number.NaN, numberIn(join(folder, 'cpu.cfs_period_us')) ?? Number.NaN];
}

/** null: no limit (`max`, -1) or no such file. */
function quota(given: number, period: number): number | null {
  return given > 0 && period > 0 ? given / period : null;
}

function usedByStat(folder: string): number | null {
  const microseconds = /^usage_usec (\d+)$/m.exec(readProc(join(folder, 'cpu.stat')) ?? '')?.[1];
  return microseconds === undefined ? null : Number(microseconds) / 1_000;
}

/** In nanoseconds, by a controller that may be mounted beside `cpu` or with it. */
function usedByAccount(groups: readonly Group[], index: number): number | null {
  for (const { folders } of groups) {
    const nanoseconds = folders[index] === undefined ? null : numberIn(join(folders[index], 'cpuacct.usage'));
    if (nanoseconds !== null) return nanoseconds / 1_000_000;
  }
  return null;
}

/** Version 1 says "no limit" as a number of pages near 2^63. */
function numberIn(file: string): number | null {
  const text = readProc(file)?.trim() ?? '';
  const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) && number < 2 ** 60 ? number : null;
}
