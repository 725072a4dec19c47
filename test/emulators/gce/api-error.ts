/** How Google's APIs say no, in the forms that Compute Engine uses over HTTP. */

export interface ErrorInfo {
  readonly reason: string;
  readonly domain?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface ApiErrorOptions {
  /** HTTP status. */
  readonly status: number;
  /** `error.errors[0].reason`; null: the newer form without `errors`. */
  readonly reason: string | null;
  readonly message: string;
  /** `google.rpc.ErrorInfo` in `error.details`. */
  readonly info?: ErrorInfo;
  readonly details?: readonly Readonly<Record<string, unknown>>[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is instead of JSON, as a proxy in between would: an HTML page. */
  readonly html?: string;
}

export class ApiError extends Error {
  readonly status: number;
  readonly options: ApiErrorOptions;

  constructor(options: ApiErrorOptions) {
    super(options.message);
    this.status = options.status;
    this.options = options;
  }
}

const canonicalStatus: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  412: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
};

export function errorBody({ options: { status, reason, message, info, details = [] } }: ApiError): unknown {
  const all = info === undefined ? details : [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', domain: 'compute.googleapis.com', ...info }, ...details];
  const errors = reason === null ? {} : { errors: [{ message, domain: 'global', reason }] };
  const newer = all.length === 0 && reason !== null ? {} : { status: canonicalStatus[status] ?? 'UNKNOWN' };
  return { error: { code: status, message, ...errors, ...newer, ...(all.length === 0 ? {} : { details: all }) } };
}

export function notFound(resource: string): ApiError {
  return new ApiError({ status: 404, reason: 'notFound', message: `The resource '${resource}' was not found` });
}

export function alreadyExists(resource: string): ApiError {
  return new ApiError({ status: 409, reason: 'alreadyExists', message: `The resource '${resource}' already exists` });
}

/** A value that parses and can't be: `field` as `resource.name`. */
export function invalidValue(field: string, value: unknown, why: string): ApiError {
  return new ApiError({ status: 400, reason: 'invalid', message: `Invalid value for field '${field}': '${show(value)}'. ${why}` });
}

/** Well-formed, and refused as a whole. */
export function badRequest(message: string, reason = 'badRequest'): ApiError {
  return new ApiError({ status: 400, reason, message });
}

function show(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
