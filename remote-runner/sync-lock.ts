/**
 * One push of a source at a time, across all connections to this machine. May import protocol and `node:`.
 *
 * The lock is a folder of numbered files like the serving process' lock: the highest number counts. It names a process, and
 * holds as long as that lives; empty, it is free. Taking it means to link the next number, which only one can do.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readText } from './durable.ts';
import { identify, isAlive, type ProcessIdentity } from './processes.ts';
import { RunnerError } from './runner-error.ts';
import { errorCode } from './sync-disk.ts';

interface Holder extends ProcessIdentity {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** What this process holds: a lock with our pid that isn't here was never given back. */
const held = new Set<string>();

const pollMs = 50;

/** Waits for a living holder. @throws RunnerError `conflict` when it is still there after `waitMs` */
export async function takeLock(folder: string, waitMs: number, signal: AbortSignal): Promise<{ release(): void }> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const token = randomBytes(8).toString('hex');
  const self = identify(process.pid) ?? { pid: process.pid, started: '', boot: '' };
  const own = join(folder, `.${token}`);
  writeFileSync(own, JSON.stringify({ ...self, token, since: Date.now() } satisfies Holder), { mode: 0o600, flag: 'wx' });
  held.add(token);
  try {
    for (let waited = 0; ; waited += pollMs) {
      const number = tryTake(folder, own);
      if (typeof number === 'number') return { release: () => release(folder, number, token) };
      if (waited >= waitMs) {
        const seconds = Math.round((Date.now() - number.since) / 1000);
        throw new RunnerError('conflict', `another push of the same source to this machine has been running for ${seconds} s`);
      }
      await sleep(pollMs, undefined, { signal });
    }
  } catch (error) {
    held.delete(token);
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

/** Our number, or who holds it. */
function tryTake(folder: string, own: string): number | Holder {
  for (;;) {
    const newest = Math.max(0, ...numbers(folder));
    const holder = newest === 0 ? null : readHolder(join(folder, String(newest)));
    if (holder !== null && lives(holder)) return holder;
    const mine = newest + 1;
    if (!tryLink(own, join(folder, String(mine)))) continue;
    const others = numbers(folder).filter((number) => number !== mine);
    if (others.some((number) => number > mine)) {
      rmSync(join(folder, String(mine)), { force: true }); // others were faster, twice
      continue;
    }
    for (const older of others) rmSync(join(folder, String(older)), { force: true });
    return mine;
  }
}

function release(folder: string, number: number, token: string): void {
  const free = join(folder, `.${token}`);
  writeFileSync(free, '', { mode: 0o600 });
  renameSync(free, join(folder, String(number)));
  held.delete(token);
}

/** null: free. A power cut may leave a damaged file: free too. */
function readHolder(file: string): Holder | null {
  try {
    return JSON.parse(readText(file) ?? '') as Holder;
  } catch {
    return null;
  }
}

function lives(holder: Holder): boolean {
  return holder.pid === process.pid ? held.has(holder.token) : isAlive(holder);
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function numbers(folder: string): number[] {
  return readdirSync(folder).flatMap((name) => (/^\d{1,15}$/.test(name) ? [Number(name)] : []));
}
