/** Reading a YAML file with the place of everything in it. `yaml` is loaded here, when there is a file to read, and nowhere else. */
import { readFileSync } from 'node:fs';
import type { Document, Node } from 'yaml';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import type { Problem } from './problem.ts';

export type KeyPath = readonly PropertyKey[];

export interface YamlFile {
  /** `{}` for an empty file. */
  readonly value: unknown;
  /** Syntax errors; when there are any, `value` is not to be used. */
  readonly problems: readonly Problem[];
  /** Where the key (or its value) stands; of what isn't there, where it is missing. */
  offsetOf(path: KeyPath, part: 'key' | 'value'): number;
  /** `gpu-run.yaml:4:13` */
  at(offset: number): string;
}

/** @param asWritten keys of maps and lists of words: `1.0` and `true` there are the text that was typed, not a number or a truth value. @param shownAs the file's name in messages */
export async function readYaml(file: string, shownAs: string, asWritten: readonly string[]): Promise<YamlFile> {
  const text = readText(file, shownAs);
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  const doc = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true, logLevel: 'error' });
  const at = (offset: number) => `${shownAs}:${lines.linePos(offset).line}:${lines.linePos(offset).col}`;
  for (const key of asWritten) keepAsWritten(yaml, doc, key);
  const problems = doc.errors.map((error) => ({ where: at(error.pos[0]), text: explainSyntax(error, text) }));
  const places = { at, offsetOf: (path: KeyPath, part: 'key' | 'value') => offsetOf(yaml, doc, path, part) };
  if (problems.length > 0) return { value: null, problems, ...places };
  try {
    return { value: doc.toJS() ?? {}, problems, ...places };
  } catch (error) {
    // Aliases without end, or to what isn't there.
    return { value: null, problems: [{ where: at(0), text: error instanceof Error ? error.message : String(error) }], ...places };
  }
}

function readText(file: string, shownAs: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    switch (systemErrorCode(error)) {
      case 'ENOENT':
        throw new GpuRunError('bad-input', `There is no file ${shownAs}.`, { cause: error, hints: ['gpu-run init   writes one for this folder'] });
      case 'EISDIR':
        throw new GpuRunError('bad-input', `${shownAs} is a folder; a YAML file is expected there.`, { cause: error });
      case 'EACCES':
      case 'EPERM':
        throw new GpuRunError('not-allowed', `${shownAs} can't be read: you have no permission.`, { cause: error, hints: [`ls -l '${file}'   shows who has`] });
      case 'ERR_ENCODING_INVALID_ENCODED_DATA':
        throw new GpuRunError('bad-input', `${shownAs} is not text in UTF-8.`, { cause: error, hints: ['Save it again with that encoding.'] });
      default:
        throw error;
    }
  }
}

function explainSyntax(error: { readonly code: string; readonly message: string; readonly pos: readonly [number, number] }, text: string): string {
  if (error.code === 'DUPLICATE_KEY') return `the key '${text.slice(error.pos[0]).match(/^[^\s:,}]+/)?.[0] ?? ''}' stands twice; take one away.`;
  if (error.code === 'TAB_AS_INDENT') return 'YAML can not be indented with tabs; use spaces.';
  // Of several, the parser tells the first that it can't take: behind `key: word` comes another `: `.
  if (error.code === 'BLOCK_AS_IMPLICIT_KEY') return "not valid YAML: a value that holds ': ' needs quotes around it, as in train: 'echo \"loss: 1\"'.";
  return `not valid YAML: ${error.message}.`;
}

type Yaml = typeof import('yaml');

function keepAsWritten(yaml: Yaml, doc: Document, key: string): void {
  const node = doc.contents !== null && yaml.isMap(doc.contents) ? doc.contents.get(key, true) : undefined;
  const values: unknown[] = yaml.isMap(node) ? node.items.map((pair) => pair.value) : yaml.isSeq(node) ? node.items : [];
  for (const value of values) {
    if (yaml.isScalar(value) && value.value !== null && typeof value.value !== 'string' && value.source !== undefined) value.value = value.source;
  }
}

function offsetOf(yaml: Yaml, doc: Document, path: KeyPath, part: 'key' | 'value'): number {
  let node: unknown = doc.contents;
  let offset = startOf(node) ?? 0;
  for (const [index, step] of path.entries()) {
    if (yaml.isAlias(node)) node = node.resolve(doc);
    const pair = yaml.isMap(node) ? node.items.find(({ key }) => String(key) === String(step)) : undefined;
    const value: unknown = yaml.isSeq(node) ? node.items[Number(step)] : pair?.value;
    const wanted = part === 'key' && index === path.length - 1 ? pair?.key : value;
    const found = startOf(wanted) ?? startOf(pair?.key) ?? startOf(value);
    if (found === undefined) break;
    offset = found;
    node = value;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}
