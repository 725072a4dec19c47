/** What the laptop orders of the watchdog on the machine, and what that answers. Imports nothing. */

/** Why the watchdog ends jobs, and perhaps the machine. `deadline` and `budget` are the same moment: which of the two has set it. */
export type WatchdogReason = 'deadline' | 'budget' | 'idle' | 'stalled';

export interface WatchdogOrder {
  /** Milliseconds since the epoch by the laptop's clock: for people. */
  readonly deadline: number;
  /** Milliseconds from now until then: what counts, since the two clocks may differ. */
  readonly remainingMs: number;
  /** What has set the deadline. */
  readonly why: 'deadline' | 'budget';
  /** Seconds without job, SSH session and use of a GPU after which the machine ends; null: never. Nothing is done about it with `leave`. */
  readonly idleSeconds: number | null;
  /** Seconds in which a job writes nothing and no GPU works, after which it ends; null: never. Machines without GPU know no stall. */
  readonly stallSeconds: number | null;
  /** What becomes of the machine: it switches itself off, or nothing but our jobs end. */
  readonly onEnd: 'power-off' | 'leave';
  /** The provider deletes the machine at its deadline, with all that would bill on: it is switched off then only when that does not come. */
  readonly deletedByProvider: boolean;
}

export interface WatchdogState {
  /** The process that watches. */
  readonly pid: number;
  /** The command by which the machine will switch itself off; null: it is to stay, or it can't (see `problem`). */
  readonly powerOff: string | null;
  /** Why it can't do all that was ordered, in words without a full stop; null: it can. */
  readonly problem: string | null;
}
