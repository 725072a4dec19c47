/** One command under the shim, from its start (or from where a killed runner left it) to its end. A job has one or two: setup and command. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateFolder, readText, syncFile, syncFolder } from './durable.ts';
import type { Env } from './job-env.ts';
import type { JobOutput } from './job-log.ts';
import { bootId, identify, isAlive, type ProcessIdentity, readPidFile } from './processes.ts';
import { shimDidNothing } from './shim.ts';
import type { Wake } from './wake.ts';

export type PhaseEnd =
  /** As the shim, or the kernel, said; a command that died of a signal N is 128+N here. */
  | { readonly kind: 'exited'; readonly code: number }
  /** The shim itself was killed while we watched; the command may go on. */
  | { readonly kind: 'shim-killed'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'not-started'; readonly problem: string }
  /** It was there and is gone, and nobody knows how it ended. */
  | { readonly kind: 'vanished'; readonly detail: string };

export interface PhaseStart {
  readonly shim: string;
  readonly argv: readonly string[];
  readonly env: Env;
  readonly cwd: string;
  /** Called when it is started, unless it was. */
  readonly output: () => JobOutput;
}

export interface Phase {
  /** How it ended; null: it goes on. One look. */
  look(): PhaseEnd | null;
  /** The shim, once it is known to live or to have lived as our child. */
  readonly shim: ProcessIdentity | null;
  /** `wake` is poked when it ends; else it has to be looked at. */
  readonly isHeard: boolean;
}

/** A shim that was started by a runner that died at once needs a moment to introduce itself. */
const introductionMs = 2_000;

export function wasStarted(folder: string): boolean {
  return existsSync(join(folder, 'started'));
}

/** `start`: null to take over what is there already. `wake` is poked when the shim ends. */
export function openPhase(folder: string, start: PhaseStart | null, wake: Wake): Phase {
  makePrivateFolder(folder);
  const opened = Date.now();
  const child = start === null ? null : startShim(folder, start, wake);
  let shim: ProcessIdentity | null = child?.identity ?? null;

  const lookAtOthers = (): PhaseEnd | null => {
    const written = readPidFile(join(folder, 'pid'));
    if (written === null)
      return Date.now() - opened < introductionMs ? null : { kind: 'vanished', detail: 'the runner was killed while it started the command' };
    if (isAlive(written)) {
      if (shim?.pid !== written.pid) shim = written;
      return null;
    }
    return readExit(folder) ?? { kind: 'vanished', detail: vanishedDetail(written) };
  };

  return {
    get shim() {
      return shim;
    },
    get isHeard() {
      return child !== null && child.exit === null;
    },
    look() {
      const ended = readExit(folder);
      if (ended !== null) {
        syncExit(folder);
        return ended;
      }
      if (child === null) return lookAtOthers();
      const { exit } = child;
      if (exit === null) return null;
      if (exit.kind === 'exited' && exit.code === shimDidNothing && child.pid !== readPidFile(join(folder, 'pid'))?.pid) {
        return wasStarted(folder) ? lookAtOthers() : { kind: 'not-started', problem: 'the job’s folder on the machine can not be written (disk full?)' };
      }
      return readExit(folder) ?? exit;
    },
  };
}

interface WatchedChild {
  readonly pid: number | undefined;
  readonly identity: ProcessIdentity | null;
  readonly exit: PhaseEnd | null;
}

function startShim(folder: string, { shim, argv, env, cwd, output }: PhaseStart, wake: Wake): WatchedChild {
  const { out, err, hold, close } = output();
  try {
    return watchChild(spawn('/bin/sh', [shim, folder, ...argv], { cwd, env, detached: true, stdio: ['ignore', out, err, 'ignore', ...hold] }), wake);
  } catch (error) {
    // Thrown, not emitted, for such as E2BIG: more words than the system passes to a program.
    return { pid: undefined, identity: null, exit: { kind: 'not-started', problem: error instanceof Error ? error.message : String(error) } };
  } finally {
    close();
  }
}

function watchChild(child: ChildProcess, wake: Wake): WatchedChild {
  let exit: PhaseEnd | null = null;
  const ended = (how: PhaseEnd) => {
    exit ??= how;
    wake.poke();
  };
  child.on('error', (error) => ended({ kind: 'not-started', problem: error.message }));
  child.on('exit', (code, signal) => ended(signal === null ? { kind: 'exited', code: code ?? 1 } : { kind: 'shim-killed', signal }));
  return {
    pid: child.pid,
    identity: child.pid === undefined ? null : identify(child.pid),
    get exit() {
      return exit;
    },
  };
}

/** null also for what a power cut may leave: an empty file, or zeros. */
function readExit(folder: string): PhaseEnd | null {
  const text = readText(join(folder, 'exit.json'));
  const code = text === null ? undefined : /^\{"code":(\d{1,3}),/.exec(text)?.[1];
  return code === undefined ? null : { kind: 'exited', code: Number(code) };
}

/** The shim has no way to do so: how the command ended is not to be lost in a power cut once it was told. */
function syncExit(folder: string): void {
  syncFile(join(folder, 'exit.json'));
  syncFolder(folder);
}

function vanishedDetail(shim: ProcessIdentity): string {
  return shim.boot === bootId() ? 'its processes were killed while the runner was not running' : 'the machine was started anew';
}
