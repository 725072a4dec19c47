/** An error that the laptop should see under a code of its own: one of `ErrorCode` in the laptop's `core/errors.ts`. */
export class RunnerError extends Error {
  override readonly name = 'RunnerError';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** A failed system call under a code that means something to a user; everything else as it is. */
export function explainSystemError(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || !('code' in thrown) || typeof thrown.code !== 'string') return thrown;
  if (['ENOSPC', 'EDQUOT'].includes(thrown.code)) return new RunnerError('disk-full', `The machine's disk or quota is full: ${thrown.message}`);
  if (['EACCES', 'EPERM', 'EROFS'].includes(thrown.code)) return new RunnerError('not-allowed', `The machine refuses it: ${thrown.message}`);
  return /^E[A-Z0-9]+$/.test(thrown.code) ? new RunnerError('internal', thrown.message) : thrown;
}
