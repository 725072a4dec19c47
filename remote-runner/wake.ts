/**
 * Sleeps until something changes in a folder: the first change after a quiet time is noticed within milliseconds, and a stream
 * of changes (a job that prints line after line) a few dozen times a second, whatever its rate. So the system's watching is
 * switched on only when it is quiet: a watch on a busy file costs more than the job that writes it.
 */
import { type FSWatcher, watch } from 'node:fs';

export interface Wake {
  /** Resolves at a change since the last call, after `ms` in any case, when poked and when aborted. May resolve for nothing: look, then wait again. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
  /** Counts as a change. */
  poke(): void;
  close(): void;
}

/** How long changes are not listened for after one was noticed. */
const calmMs = 20;

/** `calm`: nobody listens. `arming`: look once more, for what changed before we listened. `armed`: we listen. */
type Mode = 'calm' | 'arming' | 'armed';

export function wakeOn(folders: readonly string[]): Wake {
  let mode: Mode = 'arming';
  let watchers: FSWatcher[] = [];
  let poked = false;
  let wakeUp = () => {};

  const disarm = () => {
    for (const watcher of watchers.splice(0)) watcher.close();
    mode = 'calm';
  };
  const onChange = () => {
    disarm();
    wakeUp();
  };
  /** How long to sleep now; and how we go on afterwards. */
  const pauseOf = (ms: number): number => {
    if (mode === 'armed') return ms;
    if (mode === 'calm') {
      mode = 'arming';
      return Math.min(ms, calmMs);
    }
    watchers = folders.flatMap((folder) => startWatching(folder, onChange));
    mode = 'armed';
    return 0;
  };

  return {
    wait: (ms, signal) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', done);
          wakeUp = () => {};
          poked = false;
          resolve();
        };
        const timer = setTimeout(done, poked || signal?.aborted ? 0 : pauseOf(ms));
        wakeUp = done;
        signal?.addEventListener('abort', done, { once: true });
      }),
    poke: () => {
      poked = true;
      wakeUp();
    },
    close: disarm,
  };
}

/** Where the system can't watch (no inotify left, network folders), the callers' own intervals have to do. */
function startWatching(folder: string, onChange: () => void): FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: false }, onChange);
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch {
    return [];
  }
}
