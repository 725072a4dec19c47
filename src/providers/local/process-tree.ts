/**
 * Everything that a local machine has started, wherever it has hidden: the environment tells (each process of a machine
 * inherits `GPU_RUN_MACHINE=<id>`), and so do ancestry and the process's session, for those that have dropped their environment.
 * What did both, a cleared environment and a daemon's double fork into a session of its own, is out of reach without a cgroup.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '../../core/clock.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from '../../core/process-identity.ts';

/** The variable that marks a machine's processes. */
export const machineVariable = 'GPU_RUN_MACHINE';

/** Milliseconds from SIGTERM to SIGKILL for what runs on a machine that ends. */
export const endGraceMs = 2_000;

export interface FoundProcess extends ProcessIdentity {
  /** It is part of a job: `GPU_RUN_JOB` is in its environment. */
  readonly inJob: boolean;
}

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  /** The session on Linux, the process group elsewhere: the number of the process that opened it. */
  readonly session: number;
  /** `NAME=value` entries, each between two separators. */
  readonly environment: string;
}

/** All live processes of the machine but the asking one, and but those that belong to another user. */
export function findProcesses(machineId: string): FoundProcess[] {
  const rows = listProcesses();
  const members = membersOf(rows, `\0${machineVariable}=${machineId}\0`);
  return rows
    .filter((row) => members.has(row.pid) && row.pid !== process.pid)
    .flatMap((row) => {
      const identity = identifyProcess(row.pid);
      return identity === null ? [] : [{ ...identity, inJob: row.environment.includes('\0GPU_RUN_JOB=') }];
    });
}

function membersOf(rows: readonly ProcessRow[], mark: string): ReadonlySet<number> {
  const marked = new Set(rows.filter((row) => row.environment.includes(mark)).map((row) => row.pid));
  const alive = new Set(rows.map((row) => row.pid));
  const ownSession = rows.find((row) => row.pid === process.pid)?.session;
  // A session is the machine's when a process of the machine opened it; or when who opened it is dead, unless we live in it ourselves.
  const isOurs = (session: number) => marked.has(session) || (!alive.has(session) && session !== ownSession && session !== 0);
  const sessions = new Set(rows.filter((row) => marked.has(row.pid) && isOurs(row.session)).map((row) => row.session));
  const members = new Set([...marked, ...rows.filter((row) => sessions.has(row.session)).map((row) => row.pid)]);
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    for (const row of rows) if (members.has(row.parent)) members.add(row.pid);
  }
  return members;
}

export interface EndOptions {
  readonly clock: Clock;
  /** Milliseconds from SIGTERM to SIGKILL. */
  readonly graceMs: number;
  readonly signal?: AbortSignal;
}

const killWithinMs = 10_000;
const lookEveryMs = 15;

/**
 * Ends them all: SIGTERM, the grace, SIGKILL, again and again until none is left.
 * Returns what outlived even that (stuck in the kernel, or another user's); normally nothing.
 */
export async function endProcesses(machineId: string, options: EndOptions): Promise<FoundProcess[]> {
  const { clock, graceMs, signal } = options;
  const killAt = clock.now() + graceMs;
  const asked = new Set<string>();
  // Twice nothing in a row: one look can miss a process that is between fork and exec, its environment not yet in place.
  for (let calmLooks = 0; ; ) {
    const found = findProcesses(machineId);
    calmLooks = found.length === 0 ? calmLooks + 1 : 0;
    if (calmLooks === 2) return [];
    if (found.length > 0 && clock.now() > killAt + killWithinMs) return found;
    for (const one of found) {
      const key = `${one.pid} ${one.started}`;
      if (clock.now() >= killAt) signalProcess(one, 'SIGKILL');
      else if (!asked.has(key)) signalProcess(one, 'SIGTERM');
      asked.add(key);
    }
    await clock.sleep(lookEveryMs, signal);
  }
}

/** Never reaches a later process with the same pid. */
export function signalProcess(target: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(target)) return;
  try {
    process.kill(target.pid, signal);
  } catch {
    // It ended in this moment, or is another user's: the next look tells.
  }
}

function listProcesses(): ProcessRow[] {
  return process.platform === 'linux' ? listFromProc() : listFromPs();
}

function listFromProc(): ProcessRow[] {
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry);
    return Number.isSafeInteger(pid) ? (readProc(pid) ?? []) : [];
  });
}

function readProc(pid: number): ProcessRow | null {
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  // The second field, the command's name, may hold spaces and brackets: count from its last bracket.
  const [state, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (stat === '' || state === 'Z' || state === 'X') return null;
  return { pid, parent: Number(parent), session: Number(session), environment: `\0${readOrEmpty(`/proc/${pid}/environ`)}\0` };
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // ended meanwhile, or another user's
  }
}

/** Where there is no /proc: `ps` prints the environment behind the command, words split by spaces. */
export function listFromPs(): ProcessRow[] {
  const table = execFileSync('ps', ['axeww', '-o', 'pid=,ppid=,pgid=,stat=,command='], { encoding: 'latin1', maxBuffer: 256 * 1024 * 1024 });
  return table.split('\n').flatMap((line) => {
    const [pid, parent, group, state, ...words] = line.trim().split(/\s+/);
    if (pid === undefined || pid === '' || state?.startsWith('Z')) return [];
    return [{ pid: Number(pid), parent: Number(parent), session: Number(group), environment: `\0${words.join('\0')}\0` }];
  });
}
