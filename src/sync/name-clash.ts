/** Names that are different on the machine and the same on this computer's file system (macOS, Windows). May import core and `node:`. */
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError } from '../core/errors.ts';
import { temporaryPrefix } from '../protocol/sync.ts';

/** @throws GpuRunError `sync` when two of the paths would become one file here, or a name can't exist here */
export function refuseNameClashes(paths: readonly string[], folder: string, platform: string = process.platform): void {
  const impossible = platform === 'win32' ? paths.filter(isImpossibleOnWindows) : [];
  if (impossible.length > 0) throw clash(`These names can't exist on Windows: ${impossible.slice(0, 5).join(', ')}`);
  const pairs = findClashes(paths);
  // Only names that differ in such ways ask for a look at the file system.
  const known = new Map<string, boolean>();
  const real = pairs.filter((pair) => {
    const [one, other] = standIns(...pair);
    const question = `${one}/${other}`;
    const answer = known.get(question) ?? isOneFile(one, other, folder);
    known.set(question, answer);
    return answer;
  });
  if (real.length > 0)
    throw clash(
      `These names are one and the same file here: ${real
        .slice(0, 5)
        .map(([one, other]) => `${one} and ${other}`)
        .join('; ')}`,
    );
}

function clash(message: string): GpuRunError {
  return new GpuRunError('sync', `${message}. Nothing was pulled.`, {
    hints: ['Rename them on the machine (gpu-run ssh NAME), or pull them one by one into different folders.'],
  });
}

/** Pairs that are equal when neither case nor the way to write accents counts. */
export function findClashes(paths: readonly string[]): [string, string][] {
  const seen = new Map<string, string>();
  return paths.flatMap((path): [string, string][] => {
    const key = path.normalize('NFC').toLowerCase();
    const other = seen.get(key);
    if (other === undefined) seen.set(key, path);
    return other === undefined || other === path ? [] : [[other, path]];
  });
}

/** The file system itself answers. */
function isOneFile(one: string, other: string, folder: string): boolean {
  const prefix = join(folder, `${temporaryPrefix}${randomBytes(6).toString('hex')}-`);
  try {
    writeFileSync(`${prefix}${one}`, '', { flag: 'wx', mode: 0o600 });
    return one === other || existsSync(`${prefix}${other}`);
  } finally {
    rmSync(`${prefix}${one}`, { force: true });
  }
}

const letters = new Intl.Segmenter('und', { granularity: 'grapheme' });
/** With the prefix before it below the longest name. */
const mostBytes = 200;

/**
 * Short names that a file system tells apart exactly when it does so with the first parts in which the two paths differ: their
 * differing letters, each pair once. Letters with all their accents, since the same ones can be written in several ways.
 */
export function standIns(one: string, other: string): [string, string] {
  const others = other.split('/');
  const [first, second] = one
    .split('/')
    .map((part, at) => [part, others[at] ?? ''] as const)
    .find(([part, counterpart]) => part !== counterpart) ?? ['', ''];
  const counterparts = lettersOf(second);
  const differing = new Map(
    lettersOf(first)
      .map((letter, at) => [letter, counterparts[at] ?? ''] as const)
      .filter(([letter, counterpart]) => letter !== counterpart),
  );
  let names: [string, string] = ['', ''];
  for (const [letter, counterpart] of differing) {
    const longer: [string, string] = [names[0] + letter, names[1] + counterpart];
    if (longer.some((name) => Buffer.byteLength(name) > mostBytes)) break;
    names = longer;
  }
  return names;
}

function lettersOf(name: string): string[] {
  return [...letters.segment(name)].map(({ segment }) => segment);
}

function isImpossibleOnWindows(path: string): boolean {
  return path
    .split('/')
    .some((name) => /[<>:"\\|?*]|[. ]$/.test(name) || [...name].some((letter) => letter < ' ') || /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(name));
}
