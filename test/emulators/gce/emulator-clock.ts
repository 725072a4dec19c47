/** The emulator's time: the real one, which a test can push forward, with all that is due on the way. */

export interface EmulatorClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs `work` when it is `at`; the returned function takes that back. What `work` throws is kept in `bugs`. */
  at(at: number, work: () => void | Promise<void>): () => void;
  /** Resolves after `ms`, sooner when time is passed; never after `close`. */
  sleep(ms: number): Promise<void>;
  /** It is `ms` later now. What has become due runs at once, in order. */
  pass(ms: number): void;
  /** Nothing that is still planned will run. */
  close(): void;
  /** What went wrong within the emulator itself. */
  readonly bugs: unknown[];
}

interface Plan {
  readonly at: number;
  readonly work: () => void | Promise<void>;
  timer: NodeJS.Timeout | null;
}

/** setTimeout takes no more. */
const longestMs = 2 ** 31 - 1;

export function makeEmulatorClock(): EmulatorClock {
  let ahead = 0;
  let closed = false;
  const plans = new Set<Plan>();
  const bugs: unknown[] = [];
  const now = () => Date.now() + ahead;
  const run = (plan: Plan) => {
    if (plan.at - now() > 0) {
      arm(plan);
      return;
    }
    plans.delete(plan);
    runWork(plan.work).catch((error: unknown) => bugs.push(error));
  };
  const arm = (plan: Plan) => {
    plan.timer = setTimeout(run, Math.min(Math.max(0, plan.at - now()), longestMs), plan);
  };
  const at = (when: number, work: () => void | Promise<void>) => {
    const plan: Plan = { at: when, work, timer: null };
    if (closed) return () => {};
    plans.add(plan);
    arm(plan);
    return () => {
      clearTimeout(plan.timer ?? undefined);
      plans.delete(plan);
    };
  };
  const stopTimers = () => {
    for (const plan of plans) clearTimeout(plan.timer ?? undefined);
  };
  return {
    now,
    at,
    sleep: (ms) => new Promise((resolve) => void at(now() + ms, resolve)),
    pass: (ms) => {
      ahead += ms;
      stopTimers();
      for (const plan of [...plans].sort((a, b) => a.at - b.at)) arm(plan);
    },
    close: () => {
      closed = true;
      stopTimers();
      plans.clear();
    },
    bugs,
  };
}

async function runWork(work: () => void | Promise<void>): Promise<void> {
  await work();
}
