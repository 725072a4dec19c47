/** A signal of the user's choice, before the one that ends: it reaches those of a job's processes that listen to it, and no other. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessRow } from './processes.ts';

/** Of the grace: what is left is for SIGTERM. */
const share = 0.8;

export interface FirstSignal {
  /** Without shims. */
  readonly find: () => ProcessRow[];
  readonly name: NodeJS.Signals;
  readonly graceMs: () => number;
}

/**
 * Resolves when nothing is left, when the job has gone on for most of its grace, or at once when nobody listens: then the caller
 * goes on with SIGTERM. A process that does not listen would be killed by the signal, while another one saves its work.
 */
export async function signalListeners({ find, name, graceMs }: FirstSignal): Promise<void> {
  if (name === 'SIGTERM') return;
  const begun = Date.now();
  const told = new Set<string>();
  for (let rows = find(); rows.length > 0 && Date.now() - begun < graceMs() * share; rows = find()) {
    for (const { pid, started } of rows) {
      const key = `${pid} ${started}`;
      if (told.has(key) || !listensTo(pid, name)) continue;
      told.add(key);
      trySignal(pid, name);
    }
    if (told.size === 0) return;
    await sleep(20);
  }
}

/** Without /proc it is taken to. */
function listensTo(pid: number, name: NodeJS.Signals): boolean {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return process.platform !== 'linux'; // else it has just ended
  }
  const [, caught] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return caught !== undefined && (BigInt(`0x${caught}`) & (1n << BigInt(constants.signals[name] - 1))) !== 0n;
}

function trySignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has just ended, or belongs to somebody else.
  }
}
