/** A closed-world look at a JSON body: every name is known, every value of its type, nothing set that only Google sets. */
import { ApiError } from './api-error.ts';
import type { ProtoField, ProtoMessage, Schema } from './proto-schema.ts';

/** Source: descriptions of the fields in the API's v1 discovery document, revision 20260922. */
const outputOnly = new Set([
  ...['cpuPlatform', 'creationTimestamp', 'id', 'kind', 'lastStartTimestamp', 'lastStopTimestamp', 'lastSuspendedTimestamp', 'resourceStatus'].map(ofInstance),
  ...['satisfiesPzi', 'satisfiesPzs', 'selfLink', 'startRestricted', 'status', 'statusMessage', 'zone'].map(ofInstance),
  ...['architecture', 'index', 'kind', 'licenses', 'savedState', 'shieldedInstanceInitialState'].map((field) => `AttachedDisk.${field}`),
  ...['ipv6AccessType', 'kind', 'name'].map((field) => `NetworkInterface.${field}`),
  ...['creationTimestamp', 'id', 'kind', 'selfLink'].map((field) => `Firewall.${field}`),
  'AccessConfig.kind',
  'Metadata.kind',
  'CustomerEncryptionKey.sha256',
]);

function ofInstance(field: string): string {
  return `Instance.${field}`;
}

/** `output`: an answer of the API, in which everything may stand. Returns what is wrong, as the API words it; empty: nothing. */
export function messageProblems(schema: Schema, type: string, value: unknown, path: string, output = false): readonly FieldProblem[] {
  const message = schema.message(type);
  if (message === null) return [{ field: path, text: `Unknown message ${type}` }];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [{ field: path, text: `Invalid value at '${path}' (type.googleapis.com/google.cloud.compute.v1.${type}), ${JSON.stringify(value)}` }];
  }
  return Object.entries(value).flatMap(([name, held]): readonly FieldProblem[] => {
    const field = message.fields[name];
    if (field === undefined) return [{ field: path, text: `Invalid JSON payload received. Unknown name "${name}" at '${path}': Cannot find field.` }];
    const at = `${path}.${name}`;
    if (!output && outputOnly.has(`${type.split('.').at(-1)}.${name}`)) {
      return [{ field: at, text: `Invalid value for field '${at}': '${JSON.stringify(held)}'. Output-only field must not be set` }];
    }
    return fieldProblems(schema, message, name, field, held, at, output);
  });
}

export interface FieldProblem {
  readonly field: string;
  readonly text: string;
}

export function checkMessage(schema: Schema, type: string, value: unknown, path: string): void {
  const problems = messageProblems(schema, type, value, path);
  if (problems.length === 0) return;
  const fieldViolations = problems.map(({ field, text }) => ({ field, description: text }));
  throw new ApiError({
    status: 400,
    reason: 'badRequest',
    message: problems.map(({ text }) => text).join('\n'),
    details: [{ '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations }],
  });
}

function fieldProblems(
  schema: Schema,
  message: ProtoMessage,
  name: string,
  field: ProtoField,
  value: unknown,
  at: string,
  output: boolean,
): readonly FieldProblem[] {
  const wrong = (): readonly FieldProblem[] => [{ field: at, text: `Invalid value at '${at}' (${field.type}), ${JSON.stringify(value)}` }];
  const one = (held: unknown, where: string): readonly FieldProblem[] => {
    const scalar = scalarTypes[field.type];
    if (scalar !== undefined) return scalar(held) && (output || isKnownWord(schema, message, name, held)) ? [] : wrong();
    const words = message.nested?.[field.type]?.values;
    if (words !== undefined) return typeof held === 'string' && held in words ? [] : wrong();
    if (schema.message(field.type) !== null) return messageProblems(schema, field.type, held, where, output);
    return wrong();
  };
  if (field.keyType !== undefined) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong();
    return Object.entries(value).flatMap(([key, held]) => one(held, `${at}[${key}]`));
  }
  if (field.rule !== 'repeated') return one(value, at);
  return Array.isArray(value) ? value.flatMap((held, index) => one(held, `${at}[${index}]`)) : wrong();
}

function isKnownWord(schema: Schema, message: ProtoMessage, name: string, value: unknown): boolean {
  return schema.words(message, name)?.includes(String(value)) ?? true;
}

const isWhole = (value: unknown) => Number.isSafeInteger(value) || (typeof value === 'string' && /^-?\d{1,20}$/.test(value));

const scalarTypes: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  bytes: (value) => typeof value === 'string',
  bool: (value) => typeof value === 'boolean',
  double: (value) => typeof value === 'number',
  float: (value) => typeof value === 'number',
  int32: isWhole,
  uint32: isWhole,
  int64: isWhole,
  uint64: isWhole,
  fixed64: isWhole,
};

/** Text of a query parameter. */
export function queryFits(field: ProtoField, value: string): boolean {
  if (field.type === 'string') return true;
  if (field.type === 'bool') return value === 'true' || value === 'false';
  return /^-?\d+$/.test(value);
}
