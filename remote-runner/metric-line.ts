/** What a line says about the training: a JSON object of numbers, or what the user's regular expressions find. */
import { createContext, Script } from 'node:vm';
import { numberIn } from './metric-text.ts';

export interface Measured {
  /** May hold NaN and infinities. */
  readonly values: Readonly<Record<string, number>>;
  readonly step: number | null;
  readonly epoch: number | null;
}

const mostValues = 100;
/** Numbers that measure nothing, and the one name that is dangerous as a key. */
const ignored = new Set(['time', 'timestamp', 'ts', '__proto__']);
/** Fields by which a JSON line gives itself away as a log message. */
const messageFields = ['msg', 'message', 'level', 'severity'];

/** null: the line is no JSON object, or holds no number that is a measurement. */
export function readJsonLine(line: string): Measured | null {
  const object = parseObject(line);
  if (object === null || messageFields.some((field) => Object.hasOwn(object, field))) return null;
  const numbers = Object.entries(object).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
  return measured(numbers.filter(([name]) => !ignored.has(name)).slice(0, mostValues));
}

const beginsObject = /^\{[ \t]*"/;

function parseObject(line: string): Record<string, unknown> | null {
  const text = line.trim();
  if (!text.endsWith('}') || !beginsObject.test(text)) return null; // to find out by an error would take twenty times as long
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return parsePythonObject(text);
  }
}

/** Python's `json.dumps` writes `NaN`, `Infinity` and `-Infinity`, which are no JSON. */
function parsePythonObject(text: string): Record<string, unknown> | null {
  if (!text.includes('NaN') && !text.includes('Infinity')) return null;
  const json = text.replace(stringOrOdd, (found, odd?: string) => (odd === undefined ? found : odd === 'NaN' ? notANumber : found.replace(odd, '1e999')));
  try {
    const nan: unknown = JSON.parse(notANumber);
    return JSON.parse(json, (_, value: unknown) => (value === nan ? Number.NaN : value)) as Record<string, unknown>;
  } catch {
    return null;
  }
}

const stringOrOdd = /"(?:[^"\\]|\\.)*"|-?(NaN|Infinity)/g;
const notANumber = '"\\u0000nan"';

function measured(numbers: readonly (readonly [string, number])[]): Measured | null {
  const { step, epoch, ...values } = Object.fromEntries(numbers) as Record<string, number>;
  return Object.keys(values).length === 0 ? null : { values, step: finite(step), epoch: finite(epoch) };
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** Lines longer than this are not searched: what a regular expression can cost grows with its line. */
const longestSearched = 8 * 1024;
/** Of what is no number. */
const longestShown = 40;

/** `shown`: what it found first in place of a number; null: it was never found. */
export interface SilentPattern {
  readonly name: string;
  readonly shown: string | null;
}

export interface PatternSearch {
  /** Those that have given no number so far, but for the dropped ones. */
  silent(): readonly SilentPattern[];
  /** Per line what the patterns found; null where none did. `dropped`: patterns that took too long, not used any more. */
  search(lines: readonly string[]): { readonly found: readonly (Measured | null)[]; readonly dropped: readonly string[] };
}

/** JavaScript can't stop a regular expression, except by ending the script that runs it: so each runs in one of its own. */
const searchScript = new Script(`(() => {
  const found = [];
  const pattern = new RegExp(source);
  for (const line of lines) found.push(pattern.exec(line)?.[1] ?? null);
  return found;
})()`);

/** `patterns`: name -> regular expression whose first group is the value. `limitMs` is for one pattern on one batch of lines. */
export function createPatternSearch(patterns: Readonly<Record<string, string>>, limitMs = 1000): PatternSearch {
  const sources = new Map(Object.entries(patterns));
  const context = createContext(Object.create(null) as object);
  const telling = new Set<string>();
  const shown = new Map<string, string>();
  const read = (name: string, text: string): number | null => {
    const value = foundNumber(text.trim());
    if (value !== null) telling.add(name);
    else if (!shown.has(name)) shown.set(name, text.slice(0, longestShown));
    return value;
  };
  return {
    silent: () => [...sources.keys()].filter((name) => !telling.has(name)).map((name) => ({ name, shown: shown.get(name) ?? null })),
    search(lines) {
      const numbers: [string, number][][] = lines.map(() => []);
      const dropped: string[] = [];
      for (const [name, source] of sources) {
        const values = runPattern(context, source, lines, limitMs);
        if (values === null) {
          sources.delete(name);
          dropped.push(name);
        }
        for (const [index, text] of (values ?? []).entries()) {
          const value = text === null ? null : read(name, text);
          if (value !== null) numbers[index]?.push([name, value]);
        }
      }
      return { found: numbers.map(measuredByPatterns), dropped };
    },
  };
}

/** NaN and infinities are numbers; null: it is none. */
function foundNumber(text: string): number | null {
  const value = text === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : numberIn(text);
}

function runPattern(context: object, source: string, lines: readonly string[], limitMs: number): (string | null)[] | null {
  Object.assign(context, { source, lines: lines.map((line) => line.slice(0, longestSearched)) });
  try {
    return searchScript.runInContext(context, { timeout: limitMs }) as (string | null)[];
  } catch {
    return null;
  }
}

/** A pattern named `step` or `epoch` says where the training is, and is a value as well when it is all there is. */
function measuredByPatterns(numbers: readonly (readonly [string, number])[]): Measured | null {
  if (numbers.length === 0) return null;
  const { step, epoch, ...values } = Object.fromEntries(numbers) as Record<string, number>;
  return { values: Object.keys(values).length === 0 ? Object.fromEntries(numbers) : values, step: finite(step), epoch: finite(epoch) };
}
