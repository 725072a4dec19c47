/**
 * Sleeps until something changes in a folder: the first change after a quiet time is noticed at once. In a stream of changes (a job
 * that prints line after line) each is noticed at once, too, as long as they are `briskMs` apart and somebody waits for them;
 * else listening is switched off for `calmMs` after each: a watch on a busy file costs more than the job that writes it.
 */
import { type FSWatcher, statfsSync, watch } from 'node:fs';

export interface Wake {
  /**
   * Resolves at a change since the last call, after `ms` in any case (sooner where changes may go unheard), when poked and when aborted.
   * May resolve for nothing: look, then wait again.
   */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
  /** A wait that goes on ends within so many milliseconds from now. */
  within(ms: number): void;
  /** To be said when a look has found a change: if nobody was woken for it, changes come in a stream, and for `calmMs` nobody listens. */
  found(): void;
  /** Counts as a change. */
  poke(): void;
  close(): void;
}

export interface WakeOptions {
  /** How long changes are not listened for after one was noticed, milliseconds. */
  readonly calmMs: number;
  /** Changes at least so far apart, milliseconds, are all listened for. */
  readonly briskMs: number;
  /** Whether a change of a file with this name is one; default: of each. */
  readonly isNews?: (name: string) => boolean;
}

/** For somebody who looks on: 20 ms is as good as at once. */
export const briskly: WakeOptions = { calmMs: 20, briskMs: 2 };
/** For what nobody waits for. */
export const calmly: WakeOptions = { calmMs: 100, briskMs: Number.POSITIVE_INFINITY };

/** How long is slept at most where the system can't watch, milliseconds. */
const unheardMs = 250;
/** And where it can, but may not hear of everything. */
const uncertainMs = 1_000;
/**
 * File systems whose every change the kernel tells of (inotify(7)), as statfs(2) numbers them: ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs,
 * F2FS, ZFS, bcachefs. Others, above all those of a network, may be changed from elsewhere.
 */
const heardFileSystems: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e]);

/** So many changes in a row that come too fast are a flood and no burst. */
const floodChanges = 20;

/** `calm`: nobody listens until a time. `arming`: look once more, for what changed before we listened. `armed`: we listen. */
type Mode = 'calm' | 'arming' | 'armed';

/**
 * `onNews`: told of a change of the file of this name while somebody waits who has seen all changes before it. True: that was all there
 * is to do, and the wait goes on.
 */
export function wakeOn(folders: readonly string[], { calmMs, briskMs, isNews }: WakeOptions, onNews: (name: string) => boolean = () => false): Wake {
  let mode: Mode = 'arming';
  let watchers: FSWatcher[] = [];
  let mostMs = unheardMs;
  let poked = false;
  let calmUntil = 0;
  let fast = 0;
  let last = 0;
  let wakeUp = () => {};
  let waiting = false;
  let wasTime = false;
  let isStream = false;
  let within = (_ms: number) => {};

  const disarm = () => {
    for (const watcher of watchers.splice(0)) watcher.close();
    mode = 'calm';
    calmUntil = performance.now() + calmMs;
  };
  const isFlood = () => {
    const now = performance.now();
    fast = now - last < briskMs ? Math.min(fast + 1, floodChanges) : Math.max(0, fast - 5);
    last = now;
    return fast >= floodChanges || briskMs === Number.POSITIVE_INFINITY;
  };
  const onChange = (_event: string, name: string | null) => {
    if (name !== null && isNews?.(name) === false) return;
    if (isFlood()) disarm();
    else if (waiting && !poked && name !== null && onNews(name)) return;
    poked = true;
    wakeUp();
  };
  const arm = () => {
    watchers = folders.flatMap((folder) => startWatching(folder, onChange));
    if (watchers.length < folders.length) mostMs = unheardMs;
    else if (mostMs === unheardMs) mostMs = folders.every(hearsAll) ? Number.POSITIVE_INFINITY : uncertainMs;
    mode = 'armed';
    last = performance.now();
  };
  /** How long to sleep now; and how we go on afterwards. */
  const pauseOf = (ms: number): number => {
    if (mode === 'armed') return Math.min(ms, mostMs);
    if (mode === 'calm') {
      const left = calmUntil - performance.now();
      if (left > ms) return ms;
      mode = 'arming';
      return Math.max(0, left);
    }
    arm();
    return 0;
  };

  return {
    wait: (ms, signal) =>
      new Promise((resolve) => {
        let timer: NodeJS.Timeout | undefined;
        const done = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', done);
          wakeUp = () => {};
          within = () => {};
          waiting = false;
          poked = false;
          resolve();
        };
        wasTime = false;
        if (mode === 'armed' && poked) return done();
        const pause = poked || signal?.aborted ? 0 : pauseOf(ms);
        const onTime = () => {
          if (mode === 'arming' && isStream) mode = 'calm';
          else if (mode === 'arming') arm(); // before the look that follows: what changes after it is heard
          isStream = false;
          wasTime = true;
          done();
        };
        let until = performance.now() + pause;
        timer = setTimeout(onTime, pause);
        waiting = pause > 0;
        within = (ms) => {
          if (performance.now() + ms >= until) return;
          clearTimeout(timer);
          timer = setTimeout(onTime, ms);
          until = performance.now() + ms;
        };
        wakeUp = done;
        signal?.addEventListener('abort', done, { once: true });
      }),
    within: (ms) => within(ms),
    found: () => {
      if (!wasTime) return;
      disarm();
      isStream = true;
    },
    poke: () => {
      poked = true;
      wakeUp();
    },
    close: disarm,
  };
}

/** None where the system can't watch: no inotify left, network folders. */
function startWatching(folder: string, onChange: (event: string, name: string | null) => void): FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: false }, onChange);
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch {
    return [];
  }
}

function hearsAll(folder: string): boolean {
  try {
    return heardFileSystems.has(statfsSync(folder).type);
  } catch {
    return false;
  }
}
