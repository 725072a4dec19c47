/** Files that say which process does what only one at a time may do, for processes that know of each other by a folder alone. */
import { constants, copyFileSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import { mayBeAlive, type ProcessIdentity } from '../core/process-identity.ts';

/** Does not wait. What a holder that has died left does not count. null: it is held, perhaps by this very process, or nothing can be written there. */
export function takeLock(folder: string, name: string, self: ProcessIdentity): Disposable | null {
  const file = join(folder, name);
  const hidden = join(folder, `.${name}.${self.pid}`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 }); // nothing may be here yet
    writeFileSync(hidden, JSON.stringify(self), { mode: 0o600 });
    for (const again of [true, false]) {
      if (isLinked(hidden, file)) return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
      if (!again || !setAside(file, `${hidden}.old`)) return null;
    }
    return null;
  } catch {
    return null;
  } finally {
    drop(hidden);
  }
}

function drop(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // where nothing can be written nothing was
  }
}

const patienceMs = 10_000;
const lookAgainMs = 5;
/** Nobody holds it, and still it can't be had: once that may be chance. */
const mostInVain = 5;

/** Waits, and all that this process does waits with it: for what is soon done. @throws GpuRunError `conflict` */
export function waitForLock(folder: string, name: string, self: ProcessIdentity): Disposable {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  let inVain = 0;
  for (const until = performance.now() + patienceMs; performance.now() < until; Atomics.wait(pause, 0, 0, lookAgainMs)) {
    const lock = takeLock(folder, name, self);
    if (lock !== null) return lock;
    inVain = isLocked(folder, name) ? 0 : inVain + 1;
    if (inVain === mostInVain) throw new GpuRunError('conflict', `${join(folder, name)} can't be made.`);
  }
  throw new GpuRunError('conflict', `${join(folder, name)} could not be had: another gpu-run has been at it for ${patienceMs / 1000} s.`);
}

/** By a process that lives. */
export function isLocked(folder: string, name: string): boolean {
  return isHeld(join(folder, name));
}

/** Whole or not at all: nobody sees a lock that does not say yet whose it is. */
function isLinked(hidden: string, file: string): boolean {
  try {
    linkSync(hidden, file);
    return true;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EEXIST') return false;
    if (code === undefined || !noLinks.has(code)) throw error;
    return isCopied(hidden, file);
  }
}

/** Of file systems without hard links (exFAT, some of a network). */
const noLinks: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

function isCopied(hidden: string, file: string): boolean {
  try {
    copyFileSync(hidden, file, constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Of a holder that has died. False: it has a live one. */
function setAside(file: string, aside: string): boolean {
  if (isHeld(file)) return false;
  try {
    renameSync(file, aside);
  } catch {
    return true; // another process did it
  }
  const wasTakenMeanwhile = isHeld(aside);
  if (wasTakenMeanwhile) isLinked(aside, file);
  rmSync(aside, { force: true });
  return !wasTakenMeanwhile;
}

function isHeld(file: string): boolean {
  try {
    return mayBeAlive(JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity);
  } catch {
    return false; // there is none, or what a power cut left of it
  }
}
