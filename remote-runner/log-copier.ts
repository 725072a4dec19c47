/**
 * The small process between a job and its log: `cat`, under a loop of POSIX sh that starts it again when it is killed. It is in a
 * process session of its own and carries nothing by which the job's processes are found, so that neither the end of the runner nor a
 * cancel ends it; it ends by itself once nobody can write to the pipe any more.
 */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { writeWithBallast } from './ballast.ts';
import type { MachineFolder } from './machine-folder.ts';
import { bootId, identify, type ProcessIdentity, type ProcessRow, processTable, readPidFile } from './processes.ts';

export interface CopierStart {
  readonly machine: MachineFolder;
  /** Where it is written who copies. */
  readonly note: string;
  /** The log. */
  readonly bytes: string;
  /** The pipe's end to read from, a blocking one. */
  readonly pipe: number;
  /** Called when it has ended. */
  readonly onEnd: () => void;
}

/** Nobody may copy from that pipe when it is called. Says whether it goes on, at no cost. @throws what the system says: then nothing copies */
export function startCopier({ machine, note, bytes, pipe, onEnd }: CopierStart): () => boolean {
  const log = openSync(bytes, 'a', 0o600);
  try {
    const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' };
    const child = spawn('/bin/sh', [machine.copier, note], { cwd: '/', env, detached: true, stdio: ['pipe', log, 'ignore', pipe] });
    let goesOn = true;
    const end = () => {
      goesOn = false;
      onEnd();
    };
    child.on('error', end);
    child.on('exit', end);
    child.unref();
    const begin = child.stdin;
    begin?.on('error', () => {}); // killed before it began
    try {
      const self = child.pid === undefined ? null : identify(child.pid);
      if (self === null) return () => false;
      // Neither at once nor for good: before we say go it names nobody who copies, and after a power cut nobody does.
      writeWithBallast(machine, () => writeFileSync(note, `${self.pid}\n${self.started}\n${self.boot}\n`, { mode: 0o600 }));
      utimesSync(note, 0, 0);
      begin?.write('go\n');
      return () => goesOn;
    } finally {
      begin?.end();
    }
  } finally {
    closeSync(log);
  }
}

export type CopierState =
  /** It copies. */
  | 'alive'
  /** There was none, or it has come to the end of the pipe, or the machine was started anew. */
  | 'ended'
  /** It was killed, and with it perhaps a little of the log. Also when the loop alone was, and nobody saw how `cat` ended. */
  | 'killed';

export function copierState(note: string): CopierState {
  const copier = readPidFile(note);
  if (copier === null || copier.boot !== bootId()) return 'ended';
  return isCopying(copier) ? 'alive' : 'killed';
}

/** The loop, or what has outlived it of its process group: nobody gets its number while that is there. */
function isCopying(copier: ProcessIdentity): boolean {
  const now = identify(copier.pid);
  return now === null ? groupOf(copier).length > 0 : now.started === copier.started;
}

function groupOf({ pid }: ProcessIdentity): ProcessRow[] {
  return processTable().filter(({ group, session }) => group === pid && session === pid);
}

/** It has lost something, as it could not write or was killed. */
export function hasLost(note: string): boolean {
  return [note, endedNote(note)].some((file) => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > 0);
}

/** Of one that has ended, or whom nobody waits for any more. */
export function forgetCopier(note: string): void {
  for (const file of [note, endedNote(note)]) rmSync(file, { force: true });
}

function endedNote(note: string): string {
  return `${note}.ended`;
}

/**
 * One look: its `cat` sleeps until something comes through the pipe that is held as `held`, so that nothing is in it. May be wrong in the very
 * instant in which `cat` falls asleep: look twice.
 */
export function isWaitingForMore(note: string, held: number): boolean {
  const copier = readPidFile(note);
  if (copier === null) return false;
  if (!processTableIsFiles()) return psSaysAsleep(copier.pid);
  const { ino, dev } = fstatSync(held);
  return groupOf(copier).some(({ pid }) => isAsleepInRead(pid, { ino, dev }));
}

/** Only `cat`, and `dd` where that has failed, have the pipe as their stdin. */
function isAsleepInRead(pid: number, fifo: { readonly ino: number; readonly dev: number }): boolean {
  try {
    const { ino, dev } = statSync(`/proc/${pid}/fd/0`);
    if (ino !== fifo.ino || dev !== fifo.dev) return false;
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const sleepsIn = placeOfSleep(pid);
    return stat[stat.lastIndexOf(')') + 2] === 'S' && (sleepsIn === '0' || sleepsIn.includes('pipe'));
  } catch {
    return false; // it has just ended
  }
}

/** The kernel's function; 0 where the kernel does not tell (proc_pid_wchan(5)). */
function placeOfSleep(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/wchan`, 'latin1') || '0';
  } catch {
    return '0';
  }
}

function psSaysAsleep(group: number): boolean {
  try {
    const text = execFileSync('ps', ['-A', '-o', 'pgid=', '-o', 'stat=', '-o', 'comm='], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text.split('\n').some((line) => {
      const [of, state, ...name] = line.trim().split(/\s+/);
      return Number(of) === group && /^[SI]/.test(state ?? '') && /(?:^|\/)(?:cat|dd)$/.test(name.join(' '));
    });
  } catch {
    return false;
  }
}

function processTableIsFiles(): boolean {
  return statSync('/proc/self/stat', { throwIfNoEntry: false }) !== undefined;
}
