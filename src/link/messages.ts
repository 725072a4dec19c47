/**
 * What commands and a link say to each other, in frames of `protocol/peer.ts` over a unix socket:
 *
 *   hello {version}    -> {version, runner}           of another version: the caller says `leave` and goes on without
 *   leave              -> {}                          no new callers; it ends with the last of its calls
 *   connect            -> Outcome                     the connection stands
 *   start {argv}       -> Outcome of ExitStatus       the link says {started}, then blocks: offset 0 stdout, 1 stderr; the caller
 *                                                     sends stdin as blocks, {kill}, and an end
 *   dial {host, port}  -> Outcome                     {started}, then blocks both ways; {ended} and an end close each half
 */
import { type ErrorCode, GpuRunError, type Retry, toGpuRunError } from '../core/errors.ts';
import { blockBytes } from '../protocol/frame.ts';
import type { Call } from '../protocol/peer.ts';

/** Failures keep what they say: a call's own error would lose the hints. */
export type Outcome<T> = { readonly ok: T } | { readonly failed: Failure };

interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hints: readonly string[];
  readonly retry: Retry;
}

export async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: await work() };
  } catch (error) {
    const { code, message, hints, retry } = toGpuRunError(error);
    return { failed: { code, message, hints, retry } };
  }
}

/** Both ends are the same version of gpu-run, and the same user's. @throws GpuRunError as the other end did */
export function unwrap<T>(outcome: unknown): T {
  const { ok, failed } = outcome as { readonly ok?: T; readonly failed?: Failure };
  if (failed !== undefined) throw new GpuRunError(failed.code, failed.message, { hints: failed.hints, retry: failed.retry });
  return ok as T;
}

/** Where a runner is known to stand on the machine: as `runner/install.ts` found it. */
export interface StandingRunner {
  readonly argv: readonly string[];
  readonly root: string;
}

export interface Hello {
  readonly version: string;
  readonly runner: StandingRunner | null;
}

export const stdoutOffset = 0;
export const stderrOffset = 1;

/** Bytes of one stream among others of a call; in order, also where it is not awaited. Resolves when more may be sent. */
export async function sendBytes(call: Pick<Call, 'block'>, stream: number, bytes: Uint8Array): Promise<void> {
  const sent: Promise<void>[] = [];
  for (let at = 0; at < bytes.length; at += blockBytes) sent.push(call.block(stream, bytes.subarray(at, at + blockBytes)));
  await Promise.all(sent);
}
