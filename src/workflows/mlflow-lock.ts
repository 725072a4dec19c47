/** One process a job sends its metrics: a file beside the job's copy says which. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mayBeAlive, type ProcessIdentity } from '../core/process-identity.ts';

/** null: another process has it, or nothing can be written there. */
export function takeMlflowLock(folder: string, self: ProcessIdentity): Disposable | null {
  const file = join(folder, 'mlflow.lock');
  const hidden = join(folder, `.mlflow.lock.${self.pid}`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 }); // nothing of the job may be here yet
    writeFileSync(hidden, JSON.stringify(self), { mode: 0o600 });
    for (const again of [true, false]) {
      if (isLinked(hidden, file)) return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
      if (!again || !setAside(file, `${hidden}.old`)) return null;
    }
    return null;
  } catch {
    return null;
  } finally {
    rmSync(hidden, { force: true });
  }
}

/** Whole or not at all: nobody sees a lock that does not say yet whose it is. */
function isLinked(hidden: string, file: string): boolean {
  try {
    linkSync(hidden, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
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
