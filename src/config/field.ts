/** Kinds of values in our YAML files: how each is checked, described and shown by example. Imports zod: load it only where there is a file to check. */
import { existsSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { GpuRunError } from '../core/errors.ts';
import { textOf } from './problem.ts';

/** Where relative paths of a file start, and what `~` is. null: paths are not looked at (for the published JSON Schema). */
export interface PathBase {
  readonly folder: string;
  readonly userHome: string;
}

/** The message for a value of the wrong type. */
export function expected(what: string, example: string) {
  return (issue: { readonly input?: unknown }): string => {
    const found = issue.input === undefined ? 'it is missing' : `found ${describe(issue.input)}`;
    return `expected ${what}, as in ${example}; ${found}.`;
  };
}

function describe(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a block of keys';
  if (typeof value === 'string') return value.trim() === '' ? 'an empty text' : `the text '${withoutValue(value).slice(0, 40)}'`;
  return typeof value === 'number' ? `the number ${value}` : String(value);
}

/** Somebody may have put a secret's value in the wrong place. */
function withoutValue(text: string): string {
  return text.replace(/=.*$/s, '=...');
}

export function text(what: string, example: string) {
  const error = expected(what, example);
  return z.string({ error }).refine((value) => value.trim() !== '', { error });
}

/** A text that one of our own parsers turns into something; its error, with its hints, becomes the message. */
export function parsed<T>(what: string, example: string, parse: (value: string) => T) {
  return z.string({ error: expected(what, example) }).transform((value, context): T => {
    try {
      return parse(value);
    } catch (error) {
      context.issues.push({ code: 'custom', message: textOf(error), input: value });
      return z.NEVER;
    }
  });
}

export function listOf<Item extends z.ZodType>(item: Item, what: string, example: string) {
  return z.array(item, { error: expected(what, example) });
}

export function mapOf<Key extends z.ZodType<string, string>, Value extends z.ZodType>(key: Key, value: Value, what: string, example: string) {
  return z.record(key, value, { error: expected(what, example) });
}

export function optional<Schema extends z.ZodType>(schema: Schema, description: string) {
  return schema.meta({ description }).optional();
}

/** Several keys below one; a key that it does not know is an error. */
export function block<Shape extends z.ZodRawShape>(shape: Shape, example: string) {
  return z.strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? undefined : expected('a block of keys', example)(issue)) });
}

export function numberFrom(least: number, what: string, example: string) {
  const error = expected(what, example);
  return z.number({ error }).min(least, { error });
}

export function wholeNumber(least: number, most: number, what: string, example: string) {
  const error = expected(what, example);
  return z.int({ error }).min(least, { error }).max(most, { error });
}

/** A word of an argument vector or the value of a variable: numbers and truth values are taken as they were typed. */
export function word(what: string, example: string) {
  return z.union([z.string(), z.number(), z.boolean()], { error: expected(what, example) }).transform(String);
}

/** What `train` runs: a line for a shell, or an argument vector. */
export function command() {
  const error = expected('a command, or a list of its words', 'python3 train.py, or [python3, train.py]');
  const line = text('a command', 'python3 train.py').transform((text) => ({ kind: 'shell' as const, text }));
  const words = z
    .array(word('a word', '--epochs'))
    .min(1, { error })
    .transform((argv) => ({ kind: 'argv' as const, argv }));
  return z.union([line, words], { error });
}

/** A path on this computer that has to exist; absolute afterwards. */
export function existingPath(kind: 'folder' | 'file' | 'file or folder', example: string, base: PathBase | null) {
  return parsed(`the path of a ${kind}`, example, (value) => {
    if (value.trim() === '' || value.includes('\0')) throw new GpuRunError('bad-input', `expected the path of a ${kind}, as in ${example}.`);
    if (base === null) return value;
    const path = fullPath(value, base);
    if (!existsSync(path)) throw new GpuRunError('bad-input', `there is no ${kind} ${path}.`);
    const isFolder = statSync(path).isDirectory();
    if (kind === 'folder' && !isFolder) throw new GpuRunError('bad-input', `${path} is a file; a folder is expected here.`);
    if (kind === 'file' && isFolder) throw new GpuRunError('bad-input', `${path} is a folder; a file is expected here.`);
    return path;
  });
}

function fullPath(path: string, base: PathBase): string {
  if (path === '~' || path.startsWith('~/')) return join(base.userHome, path.slice(1));
  return isAbsolute(path) ? path : resolve(base.folder, path);
}
