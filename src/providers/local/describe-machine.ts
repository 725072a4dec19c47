/** One look at a local machine: what its folder says, held against the process that should be there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineStatus } from '../../core/machine.ts';
import { isAlive } from '../../core/process-identity.ts';
import { deadlineOf, folderOf, logName, type MachineEnd, type MachineOrder, readMachineFile } from './machine-folder.ts';
import { findProcesses } from './process-tree.ts';

export function describeMachine(home: string, id: string): MachineStatus {
  const folder = folderOf(home, id);
  if (folder === null || !existsSync(folder)) return gone(null);
  const order = readMachineFile(folder, 'machine.json');
  if (order === null) return gone('it was never completely made');
  const holder = readMachineFile(folder, 'process.json');
  // Before its first written word the process is known by the mark in its environment alone.
  const alive = holder === null ? findProcesses(id).length > 0 : isAlive(holder);
  return alive ? living(folder, order) : gone(whyGone(folder, id), endOf(folder)?.at ?? null);
}

function living(folder: string, order: MachineOrder): MachineStatus {
  const deadline = deadlineOf(folder, order);
  const ending = readMachineFile(folder, 'ending.json') ?? readMachineFile(folder, 'ended.json');
  if (ending !== null) return { state: 'ending', access: null, detail: ending.why, deadline };
  const address = readMachineFile(folder, 'address.json');
  if (address === null) return { state: 'pending', access: null, detail: null, deadline };
  const access = { kind: 'own', host: '127.0.0.1', port: address.port, user: order.user, hostKeys: [order.hostPublicKey] } as const;
  return { state: 'running', access, detail: null, deadline };
}

function gone(detail: string | null, endedAt: number | null = null): MachineStatus {
  return { state: 'gone', access: null, detail, deadline: null, endedAt };
}

/** null: it ended without a word. */
function endOf(folder: string): MachineEnd | null {
  return readMachineFile(folder, 'ended.json') ?? readMachineFile(folder, 'ending.json');
}

function whyGone(folder: string, id: string): string {
  const end = endOf(folder);
  if (end !== null) return end.why;
  const said = complaint(folder);
  const left = findProcesses(id).length;
  return `its process ended without a word${said === null ? '' : `: ${said}`}${left === 0 ? '' : `; ${left} of its processes still ${left === 1 ? 'runs' : 'run'} (gpu-run reap ends them)`}`;
}

/** The line of the log that names the error; Node prints the place in the code before it and the stack after. */
function complaint(folder: string): string | null {
  if (!existsSync(join(folder, logName))) return null;
  const lines = readFileSync(join(folder, logName), 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return (lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1))?.slice(0, 300) ?? null;
}
