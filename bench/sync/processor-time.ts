/** CPU time of the two ends, each a control group: what a process leaves running in the background is counted too, and ended at the end. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ProcessorTime extends Disposable {
  /** From now on the process, and whatever it starts, is counted at the far end; or not at all. */
  count(pid: number, end: 'far' | 'neither'): void;
  /** Milliseconds since the beginning; null where the kernel doesn't let us count. */
  now(): { readonly nearMs: number; readonly farMs: number } | null;
}

const nobody: ProcessorTime = { count: () => {}, now: () => null, [Symbol.dispose]: () => {} };

/** This process, and all that it starts, is the near end. */
export function openProcessorTime(): ProcessorTime {
  // Version 2 of control groups is one tree, version 1 has a tree for each kind of count.
  const isOne = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const tree = isOne ? '/sys/fs/cgroup' : '/sys/fs/cgroup/cpuacct';
  const own = readFileSync('/proc/self/cgroup', 'utf8').match(isOne ? /^0::(.*)$/m : /^\d+:(?:[^:]*,)?cpuacct(?:,[^:]*)?:(.*)$/m)?.[1];
  if (own === undefined || !existsSync(tree)) return nobody;
  const group = (end: string) => join(tree, `gpu-run-bench-${process.pid}-${end}`);
  const groups = { near: group('near'), far: group('far'), neither: group('neither') };
  const move = (pid: number, group: string) => writeFileSync(join(group, 'cgroup.procs'), String(pid));
  const end = () => {
    endAll(groups.far);
    for (const group of Object.values(groups)) {
      try {
        rmdirSync(group);
      } catch {
        // not empty yet, or never made: an empty group hinders nobody
      }
    }
  };
  try {
    for (const group of Object.values(groups)) mkdirSync(group);
    move(process.pid, groups.near);
  } catch {
    end();
    return nobody;
  }
  const used = (group: string) =>
    isOne
      ? Number(readFileSync(join(group, 'cpu.stat'), 'utf8').match(/usage_usec (\d+)/)?.[1]) / 1e3
      : Number(readFileSync(join(group, 'cpuacct.usage'), 'utf8')) / 1e6;
  return {
    count: (pid, end) => move(pid, groups[end]),
    now: () => ({ nearMs: used(groups.near), farMs: used(groups.far) }),
    [Symbol.dispose]: () => {
      move(process.pid, join(tree, own));
      end();
    },
  };
}

/** An interrupted run may leave anything behind. */
function endAll(group: string): void {
  for (let look = 0; look < 20; look += 1) {
    const pids = readPids(group);
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended
      }
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
}

function readPids(group: string): number[] {
  try {
    return readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
