/** Who and where the runner is. */
import { statfsSync } from 'node:fs';
import { availableParallelism, hostname, totalmem, userInfo } from 'node:os';
import type { MachineFacts } from '../src/protocol/calls.ts';
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
