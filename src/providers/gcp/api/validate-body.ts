/**
 * Checks a body against the API's own schema before it is sent: the client library drops what it doesn't know without a word, and a
 * misspelt `provisioningModel` would rent at the full price.
 */
import { GpuRunError } from '../../../core/errors.ts';
import schema from './body-schema.json' with { type: 'json' };
import { outputOnly } from './output-only.ts';
import type { BodySchema } from './proto-schema.ts';

export type BodyKind = 'Instance' | 'Firewall' | 'CapacityAdviceRequest';

const called: Readonly<Record<BodyKind, string>> = { Instance: 'instance', Firewall: 'firewall rule', CapacityAdviceRequest: 'question about capacity' };
const messages: BodySchema = schema;
const whole = /^-?\d{1,20}$/;

/** What has another value in JSON than its name says: 64-bit numbers are text. */
const scalars: Readonly<Record<string, { readonly called: string; readonly accepts: (value: unknown) => boolean }>> = {
  string: { called: 'text', accepts: (value) => typeof value === 'string' },
  bytes: { called: 'text', accepts: (value) => typeof value === 'string' },
  bool: { called: 'true or false', accepts: (value) => typeof value === 'boolean' },
  double: { called: 'a number', accepts: (value) => typeof value === 'number' && Number.isFinite(value) },
  float: { called: 'a number', accepts: (value) => typeof value === 'number' && Number.isFinite(value) },
  int32: { called: 'a whole number', accepts: Number.isInteger },
  uint32: { called: 'a whole number from 0 up', accepts: (value) => Number.isInteger(value) && (value as number) >= 0 },
  int64: { called: 'a whole number as text', accepts: (value) => (typeof value === 'string' ? whole.test(value) : Number.isSafeInteger(value)) },
  uint64: { called: 'a whole number as text', accepts: (value) => (typeof value === 'string' ? /^\d{1,20}$/.test(value) : Number.isSafeInteger(value)) },
};

/** @throws GpuRunError `internal` that names every field which is unknown, only Google's to write, or of a wrong type */
export function validateBody(kind: BodyKind, body: unknown): void {
  const problems = problemsOf(kind, body, '');
  if (problems.length === 0) return;
  throw new GpuRunError('internal', `The ${called[kind]} that gpu-run has made is not as Compute Engine defines it: ${problems.join('; ')}.`, {
    hints: ['This is a bug of gpu-run. Nothing was sent.'],
    leftBehind: 'nothing',
  });
}

/** `at`: path with a dot at its end, or empty. */
function problemsOf(message: string, value: unknown, at: string): readonly string[] {
  if (!isRecord(value)) return [`${at.slice(0, -1) || message} must be an object`];
  const fields = messages[message] ?? {};
  return Object.entries(value).flatMap(([key, part]) => {
    if (part === undefined) return [];
    const path = `${at}${key}`;
    if (outputOnly[message]?.includes(key)) return [`${path} is for Compute Engine alone to write`];
    const type = Object.hasOwn(fields, key) ? fields[key] : undefined;
    return type === undefined ? [`${path} is not known`] : fieldProblems(type, part, path);
  });
}

function fieldProblems(type: string, value: unknown, path: string): readonly string[] {
  if (type.startsWith('[]')) {
    if (!Array.isArray(value)) return [`${path} must be a list`];
    return value.flatMap((item, index) => fieldProblems(type.slice(2), item, `${path}[${index}]`));
  }
  if (type.startsWith('{}')) {
    if (!isRecord(value)) return [`${path} must be an object`];
    return Object.entries(value).flatMap(([key, item]) => fieldProblems(type.slice(2), item, `${path}.${key}`));
  }
  const scalar = scalars[type];
  if (scalar !== undefined) return scalar.accepts(value) ? [] : [`${path} must be ${scalar.called}`];
  if (messages[type] !== undefined) return problemsOf(type, value, `${path}.`);
  const values = type.split('|');
  return typeof value === 'string' && values.includes(value) ? [] : [`${path} must be one of ${values.join(', ')}`];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
