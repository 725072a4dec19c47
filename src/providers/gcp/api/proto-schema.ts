/** Reads the protobuf description of Compute Engine that comes with Google's client library, and takes the part out that is needed. */

/** A message, enum or service as protobufjs writes it to JSON. */
interface ProtoType {
  readonly fields?: Readonly<Record<string, ProtoField>>;
  readonly nested?: Readonly<Record<string, ProtoType>>;
  /** Of an enum. */
  readonly values?: Readonly<Record<string, number>>;
  /** Of a service. */
  readonly methods?: Readonly<Record<string, { readonly requestType: string; readonly responseType: string }>>;
}
interface ProtoField {
  /** `string`, `int32`, ..., or the name of a message. */
  readonly type: string;
  readonly rule?: string;
  /** Of a map. */
  readonly keyType?: string;
}
type ProtoTypes = Readonly<Record<string, ProtoType>>;

/**
 * For each message that `roots` lead to: field -> type. `[]T` repeats, `{}T` is a map from text, `A|B` is text with these values.
 * `except`: fields that are left out, by message.
 */
export type BodySchema = Readonly<Record<string, Readonly<Record<string, string>>>>;

export function bodySchema(protos: object, roots: readonly string[], except: Readonly<Record<string, readonly string[]>>): BodySchema {
  const types = computeTypes(protos);
  const schema: Record<string, Readonly<Record<string, string>>> = {};
  const visit = (name: string): void => {
    const message = types[name];
    if (message?.fields === undefined || name in schema) return;
    const fields = Object.entries(message.fields).filter(([field]) => !(except[name] ?? []).includes(field));
    schema[name] = Object.fromEntries(fields.map(([field, proto]) => [field, typeOf(field, proto, message)] as const).sort(byFirst));
    for (const [, { type }] of fields) visit(type);
  };
  for (const root of roots) visit(root);
  return Object.fromEntries(Object.entries(schema).sort(byFirst));
}

/** Enums travel as text; the proto has their values beside the field, under its name with a capital. */
function typeOf(field: string, { type, rule, keyType }: ProtoField, message: ProtoType): string {
  const one = type === 'string' ? (valuesOf(field, message) ?? type) : type;
  if (keyType !== undefined) return `{}${one}`;
  return rule === 'repeated' ? `[]${one}` : one;
}

function valuesOf(field: string, { nested = {} }: ProtoType): string | undefined {
  const values = nested[`${field.charAt(0).toUpperCase()}${field.slice(1)}`]?.values;
  if (values === undefined) return undefined;
  return Object.keys(values)
    .filter((value) => !value.startsWith('UNDEFINED_'))
    .sort()
    .join('|');
}

/** `services`: `zone_operations` for `ZoneOperations`. Their requests whole; answers without fields, as they are read elsewhere. */
export function prunedProtos(protos: object, services: readonly string[]): object {
  const types = computeTypes(protos);
  const kept: Record<string, ProtoType> = {};
  const keep = (name: string): void => {
    const message = types[name];
    if (message === undefined || (kept[name] !== undefined && kept[name] !== empty)) return;
    kept[name] = message;
    for (const { type } of Object.values(message.fields ?? {})) keep(type);
  };
  for (const service of services.map(inCapitals)) {
    const proto = types[service];
    if (proto?.methods === undefined) throw new Error(`The client library's protos have no service ${service}`);
    kept[service] = proto;
    for (const { requestType, responseType } of Object.values(proto.methods)) {
      keep(requestType);
      kept[responseType] ??= empty;
    }
  }
  return { nested: { google: { nested: { cloud: { nested: { compute: { nested: { v1: { nested: kept } } } } }, protobuf: anyType } } } };
}

const empty: ProtoType = { fields: {} };
/** Some messages name it, none that is sent here has it. */
const anyType = { nested: { Any: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } } } };

function computeTypes(protos: object): ProtoTypes {
  const types = ['google', 'cloud', 'compute', 'v1'].reduce<ProtoType | undefined>((at, name) => at?.nested?.[name], protos as ProtoType)?.nested;
  if (types === undefined) throw new Error("The client library's protos have no google.cloud.compute.v1");
  return types;
}

function inCapitals(file: string): string {
  return file.replace(/(^|_)([a-z])/g, (_all, _bar, letter: string) => letter.toUpperCase());
}

function byFirst([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
