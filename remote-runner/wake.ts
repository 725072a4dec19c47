/** Sleeps until something changes in a folder: within milliseconds where the system tells, at the next look otherwise. */
import { type FSWatcher, watch } from 'node:fs';

export interface Wake {
  /** Resolves at the next change, or at once if there was one since the last call; after `ms` in any case, and when aborted. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
  /** Counts as a change. */
  poke(): void;
  close(): void;
}

export function wakeOn(folders: readonly string[]): Wake {
  let pending = false;
  let wakeUp = () => {};
  const poke = () => {
    pending = true;
    wakeUp();
  };
  const watchers = folders.flatMap((folder) => startWatching(folder, poke));
  return {
    wait: (ms, signal) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', done);
          wakeUp = () => {};
          pending = false;
          resolve();
        };
        const timer = setTimeout(done, ms);
        wakeUp = done;
        signal?.addEventListener('abort', done, { once: true });
        if (pending || signal?.aborted) done();
      }),
    poke,
    close: () => {
      for (const watcher of watchers) watcher.close();
    },
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
