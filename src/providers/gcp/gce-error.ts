/** How a call to Google failed, decoded once, whatever form it came in. `failure.ts` makes of it what a person reads. */

export interface GceErrorDetail {
  /** `RATE_LIMIT_EXCEEDED`, `SERVICE_DISABLED`, ... */
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface GceFailure {
  /** HTTP status; null: no answer came, so nobody knows whether the call took effect. */
  readonly status: number | null;
  /** Of `error.errors[]`: `quotaExceeded`, `alreadyExists`, ... */
  readonly reasons: readonly string[];
  /** Of `error.details[]`, type `google.rpc.ErrorInfo`. */
  readonly details: readonly GceErrorDetail[];
  /** `POST instances` and the like: which call it was, without secrets. */
  readonly call: string;
  /** What the server has asked to wait, milliseconds; null: nothing. */
  readonly retryAfterMs?: number | null;
  /** An earlier try of the same call ended with nobody knowing whether it took effect. */
  readonly afterDoubt?: boolean;
  /** On whose behalf it was refused: `PATH (KIND, named by WHAT)`, no secret. */
  readonly credentials?: string | null;
  readonly cause?: unknown;
}

/** `message`: what Google said, or what the network did. Holds no secret. */
export class GceError extends Error {
  override readonly name = 'GceError';
  readonly status: number | null;
  readonly reasons: readonly string[];
  readonly details: readonly GceErrorDetail[];
  readonly call: string;
  readonly retryAfterMs: number | null;
  readonly afterDoubt: boolean;
  readonly credentials: string | null;

  constructor(message: string, failure: GceFailure) {
    super(message, failure.cause === undefined ? undefined : { cause: failure.cause });
    this.status = failure.status;
    this.reasons = failure.reasons;
    this.details = failure.details;
    this.call = failure.call;
    this.retryAfterMs = failure.retryAfterMs ?? null;
    this.afterDoubt = failure.afterDoubt ?? false;
    this.credentials = failure.credentials ?? null;
  }

  /** The call may have taken effect although it failed: a refusal of the second try says nothing about the first. */
  get outcomeUnknown(): boolean {
    return this.afterDoubt || this.status === null || this.status >= 500;
  }

  /** The same failure, of a call that was tried before. */
  inDoubt(): GceError {
    return new GceError(this.message, { ...this.failure(), afterDoubt: true });
  }

  /** The same failure, with what it is about in front. */
  about(what: string): GceError {
    return new GceError(`${what}: ${this.message}`, this.failure());
  }

  /** The same failure, with the credentials that were not good enough. */
  of(credentials: string): GceError {
    return new GceError(this.message, { ...this.failure(), credentials });
  }

  private failure(): GceFailure {
    const { status, reasons, details, call, retryAfterMs, afterDoubt, credentials, cause } = this;
    return { status, reasons, details, call, retryAfterMs, afterDoubt, credentials, cause };
  }
}
