/** Which kind of failure it is: one row for each, the first that fits one of the signals wins. Pure. */
import type { Signal, Signals } from './failure-signals.ts';

export type FailureKind =
  | 'no-answer'
  | 'api-rate'
  | 'too-many-operations'
  | 'quota-everywhere'
  | 'quota'
  | 'closed-location'
  | 'policy'
  | 'api-disabled'
  | 'billing'
  | 'credentials'
  | 'permission'
  | 'no-stock-in-region'
  | 'no-stock'
  | 'taken-back'
  | 'no-such-type'
  | 'vanished'
  | 'no-such-subnetwork'
  | 'not-found'
  | 'name-taken'
  | 'not-ready'
  | 'race'
  | 'invalid'
  | 'unknown';

interface Row {
  readonly kind: FailureKind;
  fits(signal: Signal, signals: Signals): boolean;
}

const has =
  (...codes: readonly string[]) =>
  (signal: Signal): boolean =>
    signal.codes.some((code) => codes.includes(code));

const quotaCode = has('QUOTA_EXCEEDED', 'quotaExceeded');
/** Of the API itself, not of machines. It comes as 403 or 429, and with the reason of a real quota. */
const perTime = /quota metric\b.*\bper (minute|second|day|100 seconds)|\bqueries per (minute|second|day)/i;
const aboutType = /machine ?types?\b|accelerator ?types?\b/i;

/**
 * Quota stands before stock: of several errors it is the one that a person can do something about. What Google says in words stands
 * before the status, which is wrong for rates (403) and stock (503).
 */
const rows: readonly Row[] = [
  { kind: 'no-answer', fits: (_, { status, from }) => from === 'call' && (status === null || status === 408) },
  // Its ErrorInfo says so; the older reason beside it is that of any rate.
  { kind: 'too-many-operations', fits: has('CONCURRENT_OPERATIONS_QUOTA_EXCEEDED', 'RESOURCE_OPERATION_RATE_EXCEEDED') },
  { kind: 'api-rate', fits: (signal) => has('rateLimitExceeded', 'userRateLimitExceeded', 'RATE_LIMIT_EXCEEDED')(signal) || perTime.test(signal.message) },
  { kind: 'too-many-operations', fits: (_, { status, from }) => from === 'call' && status === 429 },
  { kind: 'quota-everywhere', fits: (signal) => isQuota(signal) && isGlobal(signal) },
  { kind: 'quota', fits: isQuota },
  { kind: 'closed-location', fits: ({ message }) => /is not found or access is unauthorized|unknown zone|constraints\/gcp\.resourceLocations/i.test(message) },
  { kind: 'policy', fits: ({ message }) => /constraints\/[a-z]+\.[A-Za-z.]+/.test(message) },
  { kind: 'api-disabled', fits: has('accessNotConfigured', 'SERVICE_DISABLED') },
  {
    kind: 'billing',
    fits: (signal) =>
      has('BILLING_DISABLED', 'billingNotEnabled', 'BILLING_NOT_ENABLED', 'UREQ_PROJECT_BILLING_NOT_FOUND')(signal) ||
      /billing (to be enabled|account .*(disabled|closed|not found)|(is )?(disabled|not enabled))|requires billing/i.test(signal.message),
  },
  { kind: 'credentials', fits: (signal, { status, from }) => has('authError', 'UNAUTHENTICATED')(signal) || (from === 'call' && status === 401) },
  {
    kind: 'permission',
    fits: (signal, { status, from }) =>
      has(
        'forbidden',
        'IAM_PERMISSION_DENIED',
        'insufficientPermissions',
        'ACCESS_TOKEN_SCOPE_INSUFFICIENT',
        'PERMISSION_DENIED',
        'PERMISSIONS_ERROR',
      )(signal) ||
      /^Required '[^']+' permission/.test(signal.message) ||
      (from === 'call' && status === 403),
  },
  { kind: 'no-stock-in-region', fits: (signal) => signal.codes.some((code) => /^(REGION_)?RESOURCE_POOL_EXHAUSTED/.test(code)) },
  {
    kind: 'no-stock',
    fits: (signal) =>
      signal.codes.some((code) => /^ZONE_RESOURCE_POOL_EXHAUSTED|STOCKOUT$/.test(code)) ||
      has('insufficientCapacity', 'resource_availability', 'RESOURCE_AVAILABILITY')(signal) ||
      /does not have enough resources available/i.test(signal.message),
  },
  { kind: 'taken-back', fits: has('UNSUPPORTED_OPERATION') },
  {
    kind: 'no-such-type',
    fits: (signal, { status }) =>
      aboutType.test(signal.message) &&
      (has('invalid', 'notFound', 'INVALID_FIELD_VALUE', 'INVALID_USAGE', 'RESOURCE_NOT_FOUND')(signal) || status === 400 || status === 404),
  },
  { kind: 'vanished', fits: (signal) => has('RESOURCE_NOT_FOUND', 'notFound')(signal) && /\/instances\//.test(signal.message) },
  {
    kind: 'no-such-subnetwork',
    fits: (signal) =>
      has('RESOURCE_NOT_FOUND', 'notFound', 'invalid', 'INVALID_FIELD_VALUE')(signal) && /regions\/[^/']+\/subnetworks\/.* not found/i.test(signal.message),
  },
  { kind: 'not-found', fits: (signal, { status, from }) => has('RESOURCE_NOT_FOUND', 'notFound')(signal) || (from === 'call' && status === 404) },
  { kind: 'name-taken', fits: has('alreadyExists', 'RESOURCE_ALREADY_EXISTS') },
  { kind: 'not-ready', fits: has('operationInProgress', 'resourceNotReady', 'RESOURCE_NOT_READY') },
  { kind: 'race', fits: (signal, { status, from }) => has('conditionNotMet', 'CONDITION_NOT_MET')(signal) || (from === 'call' && status === 412) },
  {
    kind: 'invalid',
    fits: (signal, { status, from }) =>
      has('invalid', 'required', 'badRequest', 'INVALID_FIELD_VALUE', 'INVALID_USAGE', 'INVALID_ARGUMENT')(signal) || (from === 'call' && status === 400),
  },
  {
    kind: 'no-answer',
    fits: (signal, { status, from }) =>
      has('backendError', 'internalError', 'INTERNAL_ERROR', 'SERVICE_UNAVAILABLE')(signal) || (from === 'call' && status !== null && status >= 500),
  },
];

/** The kind, and the signal that told it. `unknown` with the first signal when no row fits. */
export function kindOf(signals: Signals): { readonly kind: FailureKind; readonly signal: Signal } {
  for (const { kind, fits } of rows) {
    const signal = signals.all.find((each) => fits(each, signals));
    if (signal !== undefined) return { kind, signal };
  }
  return { kind: 'unknown', signal: signals.all[0] ?? { codes: [], message: '', metadata: {}, quota: null } };
}

function isQuota(signal: Signal): boolean {
  return quotaCode(signal) || signal.quota !== null || /^Quota '[^']+' exceeded/.test(signal.message);
}

function isGlobal({ message, quota, metadata }: Signal): boolean {
  return /_ALL_REGIONS|\bglobally\b/i.test(message) || /all[-_]regions/i.test(`${quota?.metric} ${quota?.limitName} ${metadata['quota_metric']}`);
}
