/** When the runner looks at a job that runs: often while something happens, seldom while nothing does. Nearly all that happens is heard of. */
import type { Wake } from './wake.ts';

/** For what is missed by listening: processes and disks say nothing, and who listens may be deaf. */
const lookAgainMs = 5_000;
const lookCloselyMs = 1_000;
/** After the last news, things may still come of it: what is held back, or not on the disk yet. */
const newsLastMs = 3_000;
/** Metrics and checkpoints of a job that prints on and on are not read at each line. */
const readEveryMs = 400;
/** So much later, nobody has printed anything more: then it is time for the last ones. */
const lastReadMs = 100;

export interface LookPace {
  /** What costs more than a look at a few files is due, too. */
  readonly isReadDue: boolean;
  /** That was done; `more`: and is to be gone on with at once. */
  hasRead(more: boolean): void;
  /** Until the next look. `isClose`: something may happen soon of which nothing is heard. */
  wait(wake: Pick<Wake, 'wait'>, isClose: boolean): Promise<void>;
}

/** `now`: milliseconds that only grow. */
export function createLookPace(now: () => number = () => performance.now()): LookPace {
  let readAt = Number.NEGATIVE_INFINITY;
  let newsAt = now();
  const pauseAt = (at: number, isClose: boolean) => {
    const pause = isClose || at - newsAt < newsLastMs ? lookCloselyMs : lookAgainMs;
    return newsAt > readAt ? Math.max(0, Math.min(pause, Math.ceil(readAt + readEveryMs + lastReadMs - at))) : pause;
  };
  return {
    get isReadDue() {
      return now() - readAt >= readEveryMs;
    },
    hasRead(more) {
      readAt = more ? Number.NEGATIVE_INFINITY : now();
    },
    async wait(wake, isClose) {
      const at = now();
      const pause = pauseAt(at, isClose);
      await wake.wait(pause);
      if (now() - at < pause - 1) newsAt = now();
    },
  };
}
