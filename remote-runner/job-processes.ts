/**
 * All processes of one job, and how they are ended. A job's processes are those in the shim's process group and session, those
 * that were started with the job's cookie in their environment (so that setsid and double forks don't hide them), and the
 * children of all these.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { signalListeners } from './first-signal.ts';
import { cookieName } from './job-env.ts';
import { type ProcessIdentity, type ProcessRow, processTable, startedWith, startedWithEach } from './processes.ts';

/**
 * `shims`: shims of this job whose process was seen alive or is our child. Only then their group is known to be this job's:
 * a pid is not given out again while a process is in the group that it names.
 */
export function jobProcesses(jobId: string, shims: readonly ProcessIdentity[]): ProcessRow[] {
  const table = processTable();
  const groups = new Set(shims.filter(({ pid, started }) => !table.some((row) => row.pid === pid && row.started !== started)).map(({ pid }) => pid));
  const cookie = `${cookieName}=${jobId}`;
  const found = new Map<number, ProcessRow>();
  for (const row of table) {
    if (row.pid === process.pid) continue;
    if (groups.has(row.group) || groups.has(row.session) || startedWith(row.pid, cookie)) found.set(row.pid, row);
  }
  for (let grown = true; grown; ) {
    const children = table.filter((row) => found.has(row.parent) && !found.has(row.pid) && row.pid !== process.pid);
    for (const child of children) found.set(child.pid, child);
    grown = children.length > 0;
  }
  return [...found.values()];
}

/** Ids of all jobs of which anything runs, of any machine's. Empty without /proc. */
export function jobsWithProcesses(): ReadonlySet<string> {
  return startedWithEach(cookieName);
}

export interface EndOptions {
  readonly find: () => ProcessRow[];
  /** Of the shims: SIGTERM goes to their whole groups at once, so that no fork slips through; SIGKILL leaves them to last, so that they can write down how it ended. */
  readonly shims: readonly ProcessIdentity[];
  /** Between SIGTERM and SIGKILL; asked again and again, since a second cancel may shorten it. */
  readonly graceMs: () => number;
  /** Sent before SIGTERM, and within the same grace, to those that listen to it. Absent: SIGTERM is the first. */
  readonly first?: NodeJS.Signals;
}

/** A process that does not go within this time of SIGKILL is stuck in the kernel or belongs to somebody else. */
const stuckAfterMs = 20_000;
/** A shim on a busy machine gets this long to write down how its command ended. */
const writesWithinMs = 3_000;

/** Signal, grace, SIGKILL, until nothing is left. Returns what could not be ended. */
export async function endJobProcesses({ find, shims, graceMs, first = 'SIGTERM' }: EndOptions): Promise<ProcessRow[]> {
  const isShim = (row: ProcessRow) => shims.some(({ pid, started }) => row.pid === pid && row.started === started);
  const begun = Date.now();
  await signalListeners({ find: () => find().filter((row) => !isShim(row)), name: first, graceMs });
  const told = new Set<string>();
  let rows = find();
  for (const { pid } of shims) if (rows.some(({ group }) => group === pid)) signal(-pid, 'SIGTERM');
  for (const row of rows) if (shims.some(({ pid }) => row.group === pid)) told.add(keyOf(row));
  while (rows.length > 0 && Date.now() - begun < graceMs()) {
    for (const row of rows.filter((each) => !told.has(keyOf(each)))) {
      signal(row.pid, 'SIGTERM');
      told.add(keyOf(row));
    }
    await sleep(20);
    rows = find();
  }
  const killing = Date.now();
  const before = new Set(rows.map(keyOf));
  while (rows.length > 0 && Date.now() - killing < stuckAfterMs) {
    const spared = Date.now() - killing < writesWithinMs ? writersOf(rows, before, isShim) : new Set<ProcessRow>();
    const others = rows.filter((row) => !isShim(row) && !spared.has(row));
    const shimsMayGo = others.length === 0 && spared.size === 0 && Date.now() - killing > 500;
    for (const row of shimsMayGo ? rows : others) signal(row.pid, 'SIGKILL');
    await sleep(10);
    rows = find();
  }
  return rows;
}

/**
 * What a shim has started since the killing began: it does so once its command is dead, to write down how that ended. No process
 * of the job's can pass for one: nothing is given to a shim as a child.
 */
function writersOf(rows: readonly ProcessRow[], before: ReadonlySet<string>, isShim: (row: ProcessRow) => boolean): ReadonlySet<ProcessRow> {
  const writers = new Set<ProcessRow>();
  for (let grown = true; grown; ) {
    const parents = new Set([...rows.filter(isShim), ...writers].map(({ pid }) => pid));
    const more = rows.filter((row) => !writers.has(row) && !isShim(row) && !before.has(keyOf(row)) && parents.has(row.parent));
    for (const row of more) writers.add(row);
    grown = more.length > 0;
  }
  return writers;
}

function keyOf(row: ProcessRow): string {
  return `${row.pid} ${row.started}`;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has just ended, or belongs to somebody else: the caller looks again.
  }
}
