/** The machine's processes: who is who (pids are reused), who belongs to whom. Reads /proc; where there is none, asks ps. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readText } from './durable.ts';

/** Tells a process from a later one with the same pid, also after a reboot. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot from /proc, or the date that ps gives: opaque, only compared. */
  readonly started: string;
  readonly boot: string;
}

export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** The process session's id; the group's where ps can't say. */
  readonly session: number;
  readonly started: string;
}

const hasProc = () => existsSync('/proc/self/stat');

/** Empty where the system has none. */
export function bootId(): string {
  return readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
}

/** null: no such process, or a zombie. */
export function identify(pid: number): ProcessIdentity | null {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  const row = hasProc() ? procRow(pid) : psRows(['-p', String(pid)])[0];
  return row == null ? null : { pid, started: row.started, boot: bootId() };
}

export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now !== null && now.started === identity.started && now.boot === identity.boot;
}

/** All live processes; zombies have ended. */
export function processTable(): ProcessRow[] {
  if (!hasProc()) return psRows(['-A']);
  return readdirSync('/proc').flatMap((name) => {
    const row = /^\d+$/.test(name) ? procRow(Number(name)) : null;
    return row === null ? [] : [row];
  });
}

function procRow(pid: number): ProcessRow | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // The second field, the command's name, may hold spaces and brackets: count from its last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X' || fields[19] === undefined) return null;
  return { pid, parent: Number(fields[1]), group: Number(fields[2]), session: Number(fields[3]), started: fields[19] };
}

export function psRows(which: readonly string[]): ProcessRow[] {
  let text: string;
  try {
    text = execFileSync('ps', [...which, '-o', 'pid=', '-o', 'ppid=', '-o', 'pgid=', '-o', 'stat=', '-o', 'lstart='], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    const [pid, parent, group, state, ...started] = line.trim().split(/\s+/);
    if (pid === undefined || state === undefined || state.startsWith('Z')) return [];
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), session: Number(group), started: started.join(' ') }];
  });
}

/** Whether the process was started with `entry` (`NAME=value`) in its environment. False for other users' processes, and without /proc. */
export function startedWith(pid: number, entry: string): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    return environment.startsWith(`${entry}\0`) || environment.includes(`\0${entry}\0`);
  } catch {
    return false;
  }
}

/** The values that the variable `name` was given where any live process was started. Empty without /proc. */
export function startedWithEach(name: string): ReadonlySet<string> {
  const values = new Set<string>();
  if (!hasProc()) return values;
  for (const { pid } of processTable()) {
    try {
      const [, value] = new RegExp(`(?:^|\\0)${name}=([^\\0]*)`).exec(readFileSync(`/proc/${pid}/environ`, 'latin1')) ?? [];
      if (value !== undefined) values.add(value);
    } catch {
      // It has just ended, or belongs to somebody else.
    }
  }
  return values;
}

/** The identity that the shim wrote; null before it has. */
export function readPidFile(file: string): ProcessIdentity | null {
  const [pid, started, boot] = readText(file)?.split('\n') ?? [];
  if (pid === undefined || started === undefined || boot === undefined) return null;
  return { pid: Number(pid), started: started.trim().replace(/\s+/g, ' '), boot };
}
