/**
 * What a failure of Compute Engine means: what a person reads, and what may be tried next. May import core; pure.
 * Google's documentation of errors in creating machines: https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-vm-creation
 */
import { GpuRunError, type GpuRunErrorOptions } from '../../core/errors.ts';
import { kindOf } from './failure-kinds.ts';
import { readSignals } from './failure-signals.ts';
import { explain } from './failure-texts.ts';
import type { FailurePlace } from './failure-words.ts';
import type { GceError } from './gce-error.ts';
import type { Operation } from './gce-resources.ts';

export type { FailurePlace } from './failure-words.ts';

/**
 * How the order stands that failed: `refused` when it is the insert call itself that failed, `cleared` when it was made sure that
 * nothing of it exists, `unknown` otherwise (an operation that could not be waited for, a call that orders nothing).
 */
export type OrderState = 'refused' | 'cleared' | 'unknown';

/** `failure`: of a call, or a finished operation with its errors. Never throws, whatever Google has sent. */
export function explainFailure(failure: GceError | Operation, place: Partial<FailurePlace> = {}, order: OrderState = 'unknown'): GpuRunError {
  const signals = readSignals(failure);
  const { kind, signal } = kindOf(signals);
  const { code, message, certain, ...options } = explain(kind, signal, signals, place);
  const refused = signals.from === 'operation' || order === 'refused';
  const known: GpuRunErrorOptions = { ...options, leftBehind: order === 'cleared' || (refused && certain) ? 'nothing' : 'unknown' };
  return new GpuRunError(code, message, failure instanceof Error ? { ...known, cause: failure } : known);
}
