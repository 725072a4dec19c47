/**
 * The one error type that leaves gpu-run on purpose. Everything that is thrown and is not a
 * `GpuRunError` counts as our own bug (exit code 70).
 */

/** What kind of thing went wrong. The command line maps each kind to one exit code. */
export type ErrorCode =
  | 'usage' // the call itself is wrong: an argument is missing, two flags exclude each other
  | 'bad-input' // a value, file or config that we can't work with
  | 'not-found' // no such machine, job, template
  | 'conflict' // it exists already and differs, or somebody else is working on it
  | 'no-capacity' // nobody has such a machine now
  | 'quota' // the account may not have (more of) it
  | 'internal' // our bug
  | 'sync' // files could not be transferred
  | 'disk-full' // no space (or inodes, or quota) on one of the two sides
  | 'preempted' // the provider took the machine back, and the retries are used up
  | 'lost' // machine or job vanished, and the retries are used up
  | 'connection' // no connection, or it broke for good
  | 'protocol' // the other side does not speak as agreed
  | 'not-allowed' // credentials, permissions
  | 'host-key' // the host key is unknown or has changed
  | 'unfit' // the machine can't do the job: driver, GPU, Node
  | 'still-billing' // something may still cost money; the message says what and how to end it
  | 'budget' // the budget is used up
  | 'deadline' // the deadline was reached
  | 'interrupted'; // the caller aborted

/** What a caller may try next: nothing, the same thing again, or the same thing elsewhere. */
export type Retry = 'never' | 'same' | 'elsewhere';

/** With `retry: 'elsewhere'`: what a failure says about the other offers. */
export interface Elsewhere {
  /** Which other offers of the provider can't work either: none, those in the same zone, in the same region, or all. */
  readonly rulesOut: 'nothing' | 'zone' | 'region' | 'provider';
  /** Zones that the provider has named as having what was asked for; best first. */
  readonly betterZones?: readonly string[];
}

/** With `retry: 'same'`: milliseconds until the first try and in all; the pauses between grow. */
export interface BackOff {
  readonly firstMs: number;
  readonly atMostMs: number;
}

/** One place that was tried for a machine. */
export interface Attempt {
  readonly provider: string;
  readonly region: string | null;
  readonly zone: string | null;
  /** null: it came to no order, the provider itself could not be asked. */
  readonly type: string | null;
  /** null: it worked. */
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly hints: readonly string[] } | null;
}

export interface GpuRunErrorOptions {
  /** What to do next: full sentences or exact commands, most useful first. */
  readonly hints?: readonly string[];
  readonly retry?: Retry;
  /** Default, with `retry: 'elsewhere'`: nothing else is ruled out. With `retry: 'same'` it holds once that has not helped. */
  readonly elsewhere?: Elsewhere;
  readonly backOff?: BackOff;
  /** Of a failed order: `nothing` only where the provider has said for certain that nothing of it exists. Default: unknown. */
  readonly leftBehind?: 'nothing' | 'unknown';
  /** What was tried before this was given up, in order. */
  readonly attempts?: readonly Attempt[];
  readonly cause?: unknown;
}

/**
 * `message` says what happened and why; `hints` say what to do. Neither ever holds a secret. What only gpu-run itself decides by is no
 * part of what node prints of one that nobody has caught.
 */
export class GpuRunError extends Error {
  override readonly name = 'GpuRunError';
  readonly code: ErrorCode;
  readonly hints: readonly string[];
  readonly retry: Retry;
  readonly elsewhere: Elsewhere;
  readonly backOff: BackOff;
  readonly leftBehind: 'nothing' | 'unknown';
  readonly attempts: readonly Attempt[];

  constructor(code: ErrorCode, message: string, options: GpuRunErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hints = options.hints ?? [];
    this.retry = options.retry ?? 'never';
    this.elsewhere = options.elsewhere ?? { rulesOut: 'nothing' };
    this.backOff = options.backOff ?? { firstMs: 2_000, atMostMs: 120_000 };
    this.leftBehind = options.leftBehind ?? 'unknown';
    this.attempts = options.attempts ?? [];
    const ours = ['retry', 'elsewhere', 'backOff', 'leftBehind', ...(this.attempts.length === 0 ? ['attempts'] : [])];
    for (const name of ours) Object.defineProperty(this, name, { enumerable: false });
  }
}

/** Any thrown value as a `GpuRunError`: aborts become `interrupted`, all else that we did not foresee `internal`. */
export function toGpuRunError(thrown: unknown): GpuRunError {
  if (thrown instanceof GpuRunError) return thrown;
  if (thrown instanceof Error && thrown.name === 'AbortError') {
    return new GpuRunError('interrupted', 'Interrupted.', { cause: thrown });
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new GpuRunError('internal', message, { cause: thrown });
}

/** The `code` of a Node system error (`ENOENT`, `ENOSPC`, ...), or undefined. */
export function systemErrorCode(thrown: unknown): string | undefined {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return undefined;
}

/**
 * The reason to abort a signal with when the user has left but not asked to stop (terminal closed, laptop shut down):
 * jobs and machines go on, guarded by their deadlines.
 */
export class LeaveRunning extends Error {
  override readonly name = 'AbortError';
}
