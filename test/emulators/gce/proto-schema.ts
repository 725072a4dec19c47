/**
 * What the API takes, read from the protos that the client package carries: messages with their fields and enums, and each call's
 * verb, path, query and body.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

export interface ProtoField {
  readonly type: string;
  readonly rule?: 'repeated';
  readonly keyType?: string;
}

export interface ProtoMessage {
  readonly fields: Readonly<Record<string, ProtoField>>;
  readonly nested?: Readonly<Record<string, ProtoNode>>;
}

interface ProtoNode {
  readonly fields?: Readonly<Record<string, ProtoField>>;
  readonly values?: Readonly<Record<string, number>>;
  readonly methods?: Readonly<Record<string, ProtoMethod>>;
  readonly nested?: Readonly<Record<string, ProtoNode>>;
}

interface ProtoMethod {
  readonly requestType: string;
  readonly options?: Readonly<Record<string, string>>;
}

export interface Schema {
  /** null: there is no such message. */
  message(name: string): ProtoMessage | null;
  /** Allowed words of a string field that has an enum of its own; null: any text. */
  words(message: ProtoMessage, field: string): readonly string[] | null;
  /** `instances.insert` */
  call(id: string): CallShape;
}

export interface CallShape {
  readonly id: string;
  readonly verb: string;
  /** `/compute/v1/projects/{project}/zones/{zone}/instances` */
  readonly path: string;
  readonly query: ReadonlyMap<string, ProtoField>;
  /** The message of the body; null: none is taken. */
  readonly body: string | null;
}

let loaded: Schema | null = null;

/** Reads some 12 MB, once for a process. */
export function loadSchema(): Schema {
  return (loaded ??= readSchema());
}

function readSchema(): Schema {
  const file = createRequire(import.meta.url).resolve('@google-cloud/compute/build/protos/protos.json');
  const root = JSON.parse(readFileSync(file, 'utf8')) as ProtoNode;
  const v1 = ['google', 'cloud', 'compute', 'v1'].reduce<ProtoNode | undefined>((node, name) => node?.nested?.[name], root)?.nested;
  if (v1 === undefined) throw new Error(`${file} holds no google.cloud.compute.v1`);
  const message = (name: string): ProtoMessage | null => {
    const node = v1[name.split('.').at(-1) ?? ''];
    return node?.fields === undefined ? null : (node as ProtoMessage);
  };
  return { message, words: (of, field) => wordsOf(of, field), call: (id) => callShape(v1, message, id) };
}

function wordsOf(message: ProtoMessage, field: string): readonly string[] | null {
  const values = message.nested?.[field.charAt(0).toUpperCase() + field.slice(1)]?.values;
  return values === undefined ? null : Object.keys(values).filter((word) => !word.startsWith('UNDEFINED_'));
}

function callShape(v1: Readonly<Record<string, ProtoNode>>, message: (name: string) => ProtoMessage | null, id: string): CallShape {
  const [collection = '', name = ''] = id.split('.');
  const upper = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);
  const method = v1[upper(collection)]?.methods?.[upper(name)];
  const request = method === undefined ? null : message(method.requestType);
  if (method === undefined || request === null) throw new Error(`The client's protos know no call ${id}`);
  const options = method.options ?? {};
  const verb = ['get', 'post', 'put', 'patch', 'delete'].find((word) => options[`(google.api.http).${word}`] !== undefined) ?? '';
  const path = camelPath(options[`(google.api.http).${verb}`] ?? '');
  const bodyField = camel(options['(google.api.http).body'] ?? '');
  const inPath = new Set([...path.matchAll(/\{(\w+)\}/g)].map(([, word = '']) => word));
  const query = Object.entries(request.fields).filter(([field]) => !inPath.has(field) && field !== bodyField);
  return { id, verb: verb.toUpperCase(), path, query: new Map(query), body: request.fields[bodyField]?.type ?? null };
}

function camelPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => `{${camel(name)}}`);
}

function camel(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
