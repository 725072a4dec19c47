/** Makes sure that the serving process lives, and the watchdog. Anybody may call it: the lock lets one only go on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readText } from './durable.ts';
import { engineOptions } from './engine-options.ts';
import { cookieName, jobName } from './job-env.ts';
import type { MachineFolder } from './machine-folder.ts';
import { RunnerError } from './runner-error.ts';
import { liveHolder, type ServeHolder } from './serve-lock.ts';

export interface Starter {
  /** Starts it unless it lives. */
  start(): void;
  /**
   * The same, unless the machine is going away; costs hardly anything while it lives, so that it may be called each second.
   * `isWanted` is asked before it is started.
   */
  ensure(isWanted?: () => boolean): void;
  /** One that we started has not ended; it may not have taken the lock yet. */
  readonly started: boolean;
  /** Resolves when it lives. @throws RunnerError when it does not come up. */
  alive(): Promise<void>;
}

const comesUpWithinMs = 10_000;
/** In between, that a process of its number is there counts as its being alive, milliseconds. */
const lookProperlyMs = 5_000;
/** One that ends at once so many times will do so again. */
const mostFailures = 5;

/** `script`: the runner's own file. With `replaces`, another version's process is replaced, once: jobs don't notice. */
export function createStarter(machine: MachineFolder, kind: 'serve' | 'watch', script: string, version: string, replaces = true): Starter {
  const [lock, logFile] = kind === 'serve' ? [machine.lock, machine.serveLog] : [machine.watchLock, machine.watchLog];
  let child: ChildProcess | null = null;
  let replaced = !replaces;
  /** Killed, but perhaps not gone yet. */
  let dying: ServeHolder | null = null;
  let ended = 0;
  let seen: { readonly pid: number; readonly at: number } | null = null;

  const seemsAlive = () => seen !== null && performance.now() - seen.at < lookProperlyMs && hasProcess(seen.pid);
  const start = () => {
    const holder = liveHolder(lock);
    seen = null;
    if (holder !== null && (replaced || holder.version === version)) {
      seen = { pid: holder.pid, at: performance.now() };
      return;
    }
    if (holder !== null) process.kill(holder.pid, 'SIGKILL');
    dying = holder;
    replaced = true;
    if (child !== null || !existsSync(machine.root)) return;
    child = startDetached(machine, kind, script, logFile);
    const forget = () => {
      child = null;
      ended += 1;
    };
    child.on('error', forget);
    child.on('exit', forget);
  };

  return {
    start,
    get started() {
      return child !== null;
    },
    ensure: (isWanted = () => true) => {
      if (!seemsAlive() && !existsSync(machine.shutdown) && isWanted()) start();
    },
    async alive() {
      const most = ended + mostFailures;
      for (const until = Date.now() + comesUpWithinMs; Date.now() < until && ended < most; await sleep(20)) {
        const holder = liveHolder(lock);
        if (holder !== null && (holder.pid !== dying?.pid || holder.started !== dying.started)) return;
        start();
      }
      throw new RunnerError('internal', `The runner's ${kind === 'serve' ? 'serving process' : 'watchdog'} does not start. ${lastLines(logFile)}`);
    },
  };
}

/** It may be another one's by now, or a process that has ended and that nobody has buried. */
function hasProcess(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** What it said, each line once: it may have been started again and again. */
function lastLines(logFile: string): string {
  return [...new Set((readText(logFile) ?? '').slice(-2000).trim().split('\n'))].join('\n');
}

/** In a session of its own and with all three streams away from the connection: it must outlive it, and must not hold it open. */
function startDetached(machine: MachineFolder, kind: string, script: string, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a', 0o600);
  try {
    const { [cookieName]: _, [jobName]: __, ...env } = process.env; // it belongs to no job, also when a job started it
    const child = spawn(process.execPath, [...engineOptions(null), script, kind, '--root', machine.root], {
      cwd: machine.root,
      env,
      detached: true,
      stdio: ['ignore', log, log],
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}
