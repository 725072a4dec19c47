/**
 * One serving process a machine. The lock is a folder of numbered files, each naming a process; the highest number counts,
 * and holds as long as its process lives. Taking over means to link the next number, which only one can do. The highest file
 * is never removed, so that nobody who saw it can take the same number twice.
 */
import { linkSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMissing, readText } from './durable.ts';
import { identify, isAlive, type ProcessIdentity } from './processes.ts';

export interface ServeHolder extends ProcessIdentity {
  readonly version: string;
}

export interface ServeLock {
  /** False once another process has taken over, or the machine's folder is gone. */
  stillOurs(): boolean;
  /** True once another process that lives has it. Whatever was removed or damaged is no reason. */
  isTakenOver(): boolean;
}

/** null: another process serves. */
export function takeServeLock(folder: string, version: string): ServeLock | null {
  const self = identify(process.pid);
  if (self === null) throw new Error('this process can not see itself');
  const mine = join(folder, `.${process.pid}`);
  rmSync(mine, { force: true }); // of an earlier process with our pid: its content may still be linked
  writeFileSync(mine, JSON.stringify({ ...self, version } satisfies ServeHolder), { mode: 0o600 });
  try {
    for (;;) {
      const newest = newestNumber(folder);
      if (liveHolder(folder) !== null) return null;
      const number = (newest ?? 0) + 1;
      if (!tryLink(mine, join(folder, String(number)))) continue;
      for (const older of numbers(folder)) if (older < number) rmSync(join(folder, String(older)), { force: true });
      const isTakenOver = () => (liveHolder(folder)?.pid ?? process.pid) !== process.pid;
      return { stillOurs: () => newestNumber(folder) === number, isTakenOver };
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Who serves; null: nobody that lives. */
export function liveHolder(folder: string): ServeHolder | null {
  const newest = newestNumber(folder);
  const text = newest === null ? null : readText(join(folder, String(newest)));
  const holder = text === null ? null : parseHolder(text);
  return holder !== null && isAlive(holder) ? holder : null;
}

/** A power cut may leave an empty file. */
function parseHolder(text: string): ServeHolder | null {
  try {
    return JSON.parse(text) as ServeHolder;
  } catch {
    return null;
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function newestNumber(folder: string): number | null {
  return numbers(folder).reduce<number | null>((highest, number) => Math.max(highest ?? 0, number), null);
}

function numbers(folder: string): number[] {
  try {
    return readdirSync(folder).flatMap((name) => (/^\d{1,15}$/.test(name) ? [Number(name)] : []));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
