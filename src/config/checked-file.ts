/** A YAML file of ours, read and checked: what it says, or everything that is wrong with it. Imports zod: load it only where there is a file to check. */
import { z } from 'zod';
import type { PathBase } from './field.ts';
import { nearest } from './nearest.ts';
import type { Problem } from './problem.ts';
import { type Config, configSchema, type Template, templateSchema } from './schema.ts';
import { type KeyPath, readYaml, type YamlFile } from './yaml-file.ts';

export type Checked<T> = { readonly value: T; readonly problems: readonly [] } | { readonly value: null; readonly problems: readonly Problem[] };

/** @throws GpuRunError when the file can't be read at all */
export async function readConfigFile(file: string, shownAs: string, base: PathBase): Promise<Checked<Config>> {
  return check(configSchema(base), await readYaml(file, shownAs, ['env', 'train']));
}

/** @throws GpuRunError when the file can't be read at all */
export async function readTemplateFile(file: string, shownAs: string, base: PathBase): Promise<Checked<Template>> {
  return check(templateSchema(base), await readYaml(file, shownAs, ['env']));
}

function check<Schema extends z.ZodType>(schema: Schema, yaml: YamlFile): Checked<z.output<Schema>> {
  if (yaml.problems.length > 0) return { value: null, problems: yaml.problems };
  const result = schema.safeParse(yaml.value, { reportInput: true });
  if (result.success) return { value: result.data, problems: [] };
  const findings = result.error.issues.flatMap((issue) => findingsOf(issue, schema, yaml)).sort((a, b) => a.offset - b.offset);
  return { value: null, problems: findings.map(({ offset, text }) => ({ where: yaml.at(offset), text })) };
}

interface Finding {
  readonly offset: number;
  readonly text: string;
}

function findingsOf(issue: z.core.$ZodIssue, schema: z.ZodType, yaml: YamlFile): Finding[] {
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, issue.path);
    return issue.keys.map((key) => ({ offset: yaml.offsetOf([...issue.path, key], 'key'), text: unknownKey([...issue.path, key], key, known, schema) }));
  }
  const isKey = issue.code === 'invalid_key';
  const message = isKey ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  // A key that is empty is best told by the block that it stands in.
  const path = shown(issue.path.at(-1) === '' ? issue.path.slice(0, -1) : issue.path);
  return [{ offset: yaml.offsetOf(issue.path, isKey ? 'key' : 'value'), text: path === '' ? message : `${path}: ${message}` }];
}

function unknownKey(path: KeyPath, key: string, known: readonly string[], schema: z.ZodType): string {
  const guess = nearest(key, known) ?? (path.length === 1 ? blockWith(key, known, schema) : null);
  return `unknown key '${shown(path)}'${guess === null ? `; the keys here are ${known.join(', ')}` : `; did you mean '${guess}'?`}`;
}

/** What stands in a block of the file, and not beside it: `limits.stall`. */
function blockWith(key: string, blocks: readonly string[], schema: z.ZodType): string | null {
  const block = blocks.find((each) => knownKeys(schema, [each]).includes(key));
  return block === undefined ? null : `${block}.${key}`;
}

/** `sync.data[0].from` */
function shown(path: KeyPath): string {
  return path.reduce<string>(
    (before, step) => (typeof step === 'number' ? `${before}[${step}]` : before === '' ? String(step) : `${before}.${String(step)}`),
    '',
  );
}

/** The keys of the block at `path`. */
function knownKeys(schema: z.ZodType, path: KeyPath): string[] {
  let at: unknown = unwrapped(schema);
  for (const step of path) {
    if (at instanceof z.ZodObject) at = unwrapped(at.shape[String(step)]);
    else if (at instanceof z.ZodArray) at = unwrapped(at.element);
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

function unwrapped(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ? unwrapped(schema.unwrap()) : schema;
}
