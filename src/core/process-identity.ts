/** Telling one process from a later one that was given the same pid. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /**
   * Start time in the kernel's own words (clock ticks with the boot id on Linux, and the PID namespace where that is not the first;
   * `ps` elsewhere); opaque, only compared.
   */
  readonly started: string;
}

/** The identity of a live process; null when there is none (zombies count as none). */
export function identifyProcess(pid: number): ProcessIdentity | null {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  const started = process.platform === 'linux' ? linuxStart(pid) : psStart(pid);
  return started === null ? null : { pid, started };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.started === identity.started;
}

/** As `isAlive`, but a process of another container, which can't be seen from here, may be alive until the computer boots. Not for signals. */
export function mayBeAlive(identity: ProcessIdentity): boolean {
  if (isAlive(identity)) return true;
  const { boot, ticks, namespace } = /^(?<boot>[^:]+):(?<ticks>\d+)(@(?<namespace>.+))?$/.exec(identity.started)?.groups ?? {};
  if (process.platform !== 'linux' || boot !== bootId() || ticks === undefined) return false;
  const here = pidNamespace();
  if ((namespace ?? firstNamespace) === here) return false;
  return here !== firstNamespace || isSeenInside(identity.pid, ticks);
}

/** From the first namespace all processes are seen, with the numbers that they have in their own. */
function isSeenInside(pid: number, ticks: string): boolean {
  return readdirSync('/proc').some((seen) => {
    if (!/^\d+$/.test(seen) || statFields(seen)?.[19] !== ticks) return false;
    try {
      const numbers = /^NSpid:(.*)$/m
        .exec(readFileSync(`/proc/${seen}/status`, 'latin1'))?.[1]
        ?.trim()
        .split(/\s+/);
      return numbers?.at(-1) === String(pid);
    } catch {
      return false; // it has ended
    }
  });
}

export function ownIdentity(): ProcessIdentity {
  return identifyProcess(process.pid) ?? { pid: process.pid, started: 'unknown' };
}

function linuxStart(pid: number): string | null {
  const ticks = statFields(String(pid))?.[19];
  if (ticks === undefined) return null;
  const namespace = pidNamespace();
  return `${bootId()}:${ticks}${namespace === firstNamespace ? '' : `@${namespace}`}`;
}

/** What follows the name in the `stat` of a process; null for zombies, too. */
function statFields(pid: string): readonly string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field, the command's name, may hold spaces and brackets: count from its last bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : fields;
  } catch {
    return null;
  }
}

/** The kernel's fixed number for the namespace that it boots with (PROC_PID_INIT_INO). */
const firstNamespace = 'pid:[4026531836]';

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return firstNamespace; // a kernel without namespaces
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return 'no-boot-id';
  }
}

/** The date that `ps` says depends on who asks, unless it is told otherwise. */
export function psStart(pid: number): string | null {
  try {
    const line = execFileSync('env', ['LC_ALL=C', 'TZ=UTC', 'ps', '-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? null : line.replace(/^\S+\s+/, '');
  } catch {
    return null;
  }
}
