/**
 * What Google has said about a failure, in one form, whether it came as the answer of a call or with a finished operation.
 * Nothing is believed about the shape: what is not as documented is left out. Pure.
 */
import { GceError } from './gce-error.ts';
import type { Operation } from './gce-resources.ts';

export interface Signal {
  /** Google's own words: `ZONE_RESOURCE_POOL_EXHAUSTED`, `quotaExceeded`, `RATE_LIMIT_EXCEEDED`. */
  readonly codes: readonly string[];
  /** Without control characters, and not longer than a person reads. */
  readonly message: string;
  /** Of all `ErrorInfo`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly quota: QuotaSignal | null;
  /** That were used, where they are not good enough. */
  readonly credentials?: string;
}

export interface QuotaSignal {
  readonly metric: string;
  readonly limitName: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly limit: number | null;
}

export interface Signals {
  /** HTTP status of the call; null: no answer, or it is an operation. */
  readonly status: number | null;
  readonly from: 'call' | 'operation';
  readonly all: readonly Signal[];
  /** Milliseconds that the server has asked to wait; null: nothing. */
  readonly retryAfterMs: number | null;
}

export function readSignals(failure: GceError | Operation): Signals {
  if (failure instanceof GceError) return { status: failure.status, from: 'call', all: [callSignal(failure)], retryAfterMs: failure.retryAfterMs };
  const errors = listOf(recordOf(recordOf(failure)['error'])['errors']).map(recordOf);
  const all = errors.map(operationSignal);
  const { httpErrorStatusCode, statusMessage } = recordOf(failure);
  const own: Signal = { codes: [], message: clean(statusMessage), metadata: {}, quota: null };
  return {
    status: typeof httpErrorStatusCode === 'number' ? httpErrorStatusCode : null,
    from: 'operation',
    all: all.length === 0 ? [own] : all,
    retryAfterMs: null,
  };
}

function callSignal({ message, reasons, details, credentials }: GceError): Signal {
  const metadata = Object.assign({}, ...details.map((detail) => textsOf(detail.metadata))) as Record<string, string>;
  return {
    codes: [...reasons, ...details.map(({ reason }) => reason)].map(clean).filter((code) => code !== ''),
    message: clean(message),
    metadata,
    quota: null,
    ...(credentials === null ? {} : { credentials: clean(credentials) }),
  };
}

function operationSignal(error: Readonly<Record<string, unknown>>): Signal {
  const details = listOf(error['errorDetails']).map(recordOf);
  const infos = details.map((detail) => recordOf(detail['errorInfo']));
  const quotas = details.map((detail) => recordOf(detail['quotaInfo'])).filter((quota) => Object.keys(quota).length > 0);
  const codes = [error['code'], ...infos.map(({ reason }) => reason)].filter((code): code is string => typeof code === 'string' && code !== '');
  const metadata = Object.assign({}, ...infos.map((info) => textsOf(info['metadatas']))) as Record<string, string>;
  return { codes: codes.map(clean), message: clean(error['message']), metadata, quota: quotas[0] === undefined ? null : quotaSignal(quotas[0]) };
}

function quotaSignal(quota: Readonly<Record<string, unknown>>): QuotaSignal {
  const { metricName, limitName, dimensions, limit } = quota;
  return { metric: clean(metricName), limitName: clean(limitName), dimensions: textsOf(dimensions), limit: typeof limit === 'number' ? limit : null };
}

/** Hostile until checked: it ends in a terminal. */
function clean(text: unknown): string {
  if (typeof text !== 'string') return '';
  return text
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, 600);
}

function textsOf(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(recordOf(value)).flatMap(([key, text]) => (typeof text === 'string' ? [[key, clean(text)]] : [])));
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
