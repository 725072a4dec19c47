/** The faults by name, in the words and forms in which Compute Engine reports them. */
import type { OperationError } from '../../../src/providers/gcp/gce-resources.ts';
import { ApiError } from './api-error.ts';
import type { FaultHandle, Faults, MachineFault, Where } from './faults.ts';

export type StockoutCode =
  | 'ZONE_RESOURCE_POOL_EXHAUSTED'
  | 'ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS'
  | 'GPU_STOCKOUT'
  | 'REGION_RESOURCE_POOL_EXHAUSTED'
  | 'RESOURCE_POOL_EXHAUSTED';

/** `calls`: a pattern of call ids (`/^instances\.insert$/`); left out: all calls of Compute Engine. */
type Calls = Where & { readonly calls?: RegExp };

export interface FaultSwitches {
  /** No capacity: in the finished operation, or with `http` as 503 at once. */
  stockout(where?: Where & { readonly code?: StockoutCode; readonly zonesWithCapacity?: readonly string[]; readonly http?: boolean }): FaultHandle;
  /** `region: null`: of the whole project. */
  quota(where: Where & { readonly metric: string; readonly limit?: number; readonly region: string | null; readonly http?: boolean }): FaultHandle;
  rateLimit(where?: Calls & { readonly form?: '429' | '403' | '403-info' | '403-message'; readonly retryAfterSeconds?: number }): FaultHandle;
  concurrentOperations(where?: Calls & { readonly reason?: 'CONCURRENT_OPERATIONS_QUOTA_EXCEEDED' | 'RESOURCE_OPERATION_RATE_EXCEEDED' }): FaultHandle;
  serverError(where?: Calls & { readonly status?: 500 | 502 | 503; readonly html?: boolean }): FaultHandle;
  reset(where: Calls & { readonly when: 'before' | 'after' }): FaultHandle;
  /** Never answers. */
  hang(where: Calls & { readonly when: 'before' | 'after' }): FaultHandle;
  slow(where: Calls & { readonly ms: number }): FaultHandle;
  permissionDenied(where: Calls & { readonly permission: string }): FaultHandle;
  serviceDisabled(where?: Calls): FaultHandle;
  billingDisabled(where?: Calls): FaultHandle;
  /** 403 "Location ... is not found or access is unauthorized". */
  locationClosed(where: Where): FaultHandle;
  /** The type is listed, and can't be had in these zones: 404, or 400 `invalid`. */
  machineTypeMissing(where: Where & { readonly status?: 400 | 404 }): FaultHandle;
  /** Whatever the API may answer. */
  answer(where: Calls & { readonly error: ApiError }): FaultHandle;
  /** The operation ends with these errors; with `keepsTarget` what it should have made is there all the same. */
  operationError(
    where: Where & { readonly errors: readonly OperationError[]; readonly httpStatus?: number; readonly keepsTarget?: boolean; readonly types?: RegExp },
  ): FaultHandle;
  operationNeverEnds(where?: Where & { readonly types?: RegExp }): FaultHandle;
  operationSlow(where: Where & { readonly ms: number; readonly types?: RegExp }): FaultHandle;
  /** Lists leave out what is there and name the zone. */
  unreachableZone(zone: string, form?: 'unreachables' | 'warning' | 'both'): FaultHandle;
  /** Machines that are made from now on. */
  machine(where: Where & MachineFault): FaultHandle;
  /** Takes all faults back. Machines that have theirs keep them. */
  clear(): void;
}

const inserts = /^instances\.insert$/;

export function makeFaultSwitches(faults: Faults): FaultSwitches {
  const fail = (where: Calls, error: ApiError, calls = where.calls) => faults.calls.add(where, { kind: 'error', error }, calls);
  const failInsert = (where: Where, error: OperationError, httpStatus: number) =>
    faults.operations.add(where, { kind: 'error', errors: [error], httpStatus, keepsTarget: false }, /^insert$/);
  return {
    stockout: (where = {}) => {
      const message = 'The zone does not have enough resources available to fulfill the request.  Try a different zone, or try again later.';
      const error = new ApiError({ status: 503, reason: 'insufficientCapacity', message });
      return where.http === true ? fail(where, error, inserts) : failInsert(where, stockoutError(where, message), 503);
    },
    quota: (where) => {
      const scope = where.region === null ? 'globally' : `in region ${where.region}`;
      const message = `Quota '${where.metric}' exceeded.  Limit: ${(where.limit ?? 0).toFixed(1)} ${scope}.`;
      if (where.http === true) return fail(where, new ApiError({ status: 403, reason: 'quotaExceeded', message }), inserts);
      return failInsert(where, quotaError(where, message), 403);
    },
    rateLimit: (where = {}) => fail(where, rateLimitError(where)),
    concurrentOperations: ({ reason = 'CONCURRENT_OPERATIONS_QUOTA_EXCEEDED', ...where } = {}) =>
      fail(
        where,
        new ApiError({ status: 403, reason: 'rateLimitExceeded', message: 'Operation rate exceeded for resource. Too frequent operations.', info: { reason } }),
      ),
    serverError: ({ status = 503, html = false, ...where } = {}) => {
      const message = status === 502 ? 'Bad Gateway' : 'Internal error. Please try again or contact Google Support.';
      const page = html ? { html: `<!DOCTYPE html><title>Error ${status}</title><p>${message}` } : {};
      return fail(where, new ApiError({ status, reason: 'backendError', message, ...page }));
    },
    reset: ({ when, ...where }) => faults.calls.add(where, { kind: 'reset', when }, where.calls),
    hang: ({ when, ...where }) => faults.calls.add(where, { kind: 'hang', when }, where.calls),
    slow: ({ ms, ...where }) => faults.calls.add(where, { kind: 'slow', ms }, where.calls),
    permissionDenied: ({ permission, ...where }) => {
      const info = { reason: 'IAM_PERMISSION_DENIED', domain: 'iam.googleapis.com', metadata: { permission } };
      return fail(where, new ApiError({ status: 403, reason: 'forbidden', message: `Required '${permission}' permission for 'projects/emulated'`, info }));
    },
    serviceDisabled: (where = {}) => fail(where, serviceDisabledError()),
    billingDisabled: (where = {}) => {
      const message = 'This API method requires billing to be enabled. Please enable billing on project #123456789012.';
      const info = { reason: 'BILLING_DISABLED', domain: 'googleapis.com', metadata: { service: 'compute.googleapis.com' } };
      return fail(where, new ApiError({ status: 403, reason: 'forbidden', message, info }));
    },
    locationClosed: (where) => {
      const message = `Location ${where.zones?.[0] ?? 'zone'} is not found or access is unauthorized.`;
      return fail(where, new ApiError({ status: 403, reason: 'forbidden', message }), inserts);
    },
    machineTypeMissing: ({ status = 404, ...where }) => {
      const message = "Invalid value for field 'resource.machineType': 'machineTypes/...'. The referenced resource does not exist.";
      const gone = "The resource 'projects/emulated/zones/z/machineTypes/t' was not found";
      return fail(where, new ApiError(status === 404 ? { status, reason: 'notFound', message: gone } : { status, reason: 'invalid', message }), inserts);
    },
    answer: ({ error, ...where }) => fail(where, error),
    operationError: ({ errors, httpStatus = 400, keepsTarget = false, types = /^insert$/, ...where }) =>
      faults.operations.add(where, { kind: 'error', errors, httpStatus, keepsTarget }, types),
    operationNeverEnds: ({ types, ...where } = {}) => faults.operations.add(where, { kind: 'never-ends' }, types),
    operationSlow: ({ ms, types, ...where }) => faults.operations.add(where, { kind: 'slow', ms }, types),
    unreachableZone: (zone, form = 'both') => faults.unreachable.add({ zones: [zone] }, form),
    machine: (where) => faults.machines.add(where, where),
    clear: () => {
      for (const list of Object.values(faults)) list.clear();
    },
  };
}

function stockoutError(where: Where & { readonly code?: StockoutCode; readonly zonesWithCapacity?: readonly string[] }, message: string): OperationError {
  const zone = where.zones?.[0] ?? '';
  const metadatas = {
    vmType: where.machineTypes?.[0] ?? 'g2-standard-4',
    zone,
    ...(where.zonesWithCapacity === undefined ? {} : { zonesWithCapacity: where.zonesWithCapacity.join(',') }),
  };
  const help = { links: [{ description: 'Troubleshooting', url: 'https://cloud.google.com/compute/docs/resource-error' }] };
  return {
    code: where.code ?? 'ZONE_RESOURCE_POOL_EXHAUSTED',
    message,
    errorDetails: [
      { errorInfo: { reason: 'resource_availability', domain: 'compute.googleapis.com', metadatas } },
      { help },
      { localizedMessage: { locale: 'en-US', message } },
    ],
  };
}

function quotaError(where: { readonly metric: string; readonly limit?: number; readonly region: string | null }, message: string): OperationError {
  const dimensions: Record<string, string> = where.region === null ? {} : { region: where.region };
  const limitName = `${where.metric.replaceAll('_', '-')}-per-project${where.region === null ? '' : '-region'}`;
  const metricName = `compute.googleapis.com/${where.metric.toLowerCase()}`;
  return { code: 'QUOTA_EXCEEDED', message, errorDetails: [{ quotaInfo: { metricName, limitName, dimensions, limit: where.limit ?? 0 } }] };
}

function rateLimitError({
  form = '429',
  retryAfterSeconds,
}: {
  readonly form?: '429' | '403' | '403-info' | '403-message';
  readonly retryAfterSeconds?: number;
}): ApiError {
  const headers = retryAfterSeconds === undefined ? {} : { headers: { 'Retry-After': String(retryAfterSeconds) } };
  const metric =
    "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute.googleapis.com' for consumer 'project_number:123456789012'.";
  if (form === '403') return new ApiError({ status: 403, reason: 'rateLimitExceeded', message: 'Rate Limit Exceeded', ...headers });
  if (form === '403-message') return new ApiError({ status: 403, reason: 'forbidden', message: metric, ...headers });
  const status = form === '429' ? 429 : 403;
  return new ApiError({ status, reason: 'rateLimitExceeded', message: metric, info: { reason: 'RATE_LIMIT_EXCEEDED', domain: 'googleapis.com' }, ...headers });
}

function serviceDisabledError(): ApiError {
  const message =
    'Compute Engine API has not been used in project 123456789012 before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/compute.googleapis.com/overview?project=123456789012 then retry.';
  const metadata = { service: 'compute.googleapis.com', consumer: 'projects/123456789012' };
  return new ApiError({ status: 403, reason: 'accessNotConfigured', message, info: { reason: 'SERVICE_DISABLED', domain: 'googleapis.com', metadata } });
}
