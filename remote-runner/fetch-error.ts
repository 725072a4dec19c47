/** What goes wrong while the machine fetches data. May import protocol. */
import { RunnerError } from './runner-error.ts';

/** An error with what to do about it: lines behind the first one are hints, which the laptop shows as such. */
export function fetchError(code: 'sync' | 'not-allowed' | 'bad-input' | 'disk-full', message: string, ...hints: readonly string[]): RunnerError {
  return new RunnerError(code, [message, ...hints].join('\n'));
}

/** The same question may be answered later: the server is busy, the connection broke. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  /** Milliseconds that the server asks to wait; null: it doesn't. */
  readonly afterMs: number | null;
  constructor(message: string, afterMs: number | null = null) {
    super(message);
    this.afterMs = afterMs;
  }
}
