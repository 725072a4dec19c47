/** Makes sure that the serving process lives. Anybody may call it: the lock lets one only go on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readText } from './durable.ts';
import { cookieName } from './job-env.ts';
import type { MachineFolder } from './machine-folder.ts';
import { RunnerError } from './runner-error.ts';
import { liveHolder } from './serve-lock.ts';

export interface ServeStarter {
  /** Starts it unless it lives. */
  start(): void;
  /** The same, unless the machine is going away. */
  ensure(): void;
  /** One that we started has not ended; it may not have taken the lock yet. */
  readonly started: boolean;
  /** Resolves when it lives. @throws RunnerError when it does not come up. */
  alive(): Promise<void>;
}

const comesUpWithinMs = 10_000;

/** `script`: the runner's own file. Another version's serving process is replaced, once: jobs don't notice. */
export function createServeStarter(machine: MachineFolder, script: string, version: string): ServeStarter {
  let child: ChildProcess | null = null;
  let replaced = false;

  const start = () => {
    const holder = liveHolder(machine.lock);
    if (holder !== null && (replaced || holder.version === version)) return;
    if (holder !== null) process.kill(holder.pid, 'SIGKILL');
    replaced = true;
    if (child !== null || !existsSync(machine.root)) return;
    child = startDetached(machine, script);
    const forget = () => {
      child = null;
    };
    child.on('error', forget);
    child.on('exit', forget);
  };

  return {
    start,
    get started() {
      return child !== null;
    },
    ensure: () => {
      if (!existsSync(machine.shutdown)) start();
    },
    async alive() {
      for (const until = Date.now() + comesUpWithinMs; Date.now() < until; await sleep(20)) {
        if (liveHolder(machine.lock) !== null) return;
        start();
      }
      throw new RunnerError('internal', `The runner's serving process does not start. ${readText(machine.serveLog)?.trim().slice(-2000) ?? ''}`);
    },
  };
}

/** In a session of its own and with all three streams away from the connection: it must outlive it, and must not hold it open. */
function startDetached(machine: MachineFolder, script: string): ChildProcess {
  const log = openSync(machine.serveLog, 'a', 0o600);
  try {
    const { [cookieName]: _, ...env } = process.env; // it belongs to no job, also when a job started it
    const child = spawn(process.execPath, [script, 'serve', '--root', machine.root], { cwd: machine.root, env, detached: true, stdio: ['ignore', log, log] });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}
