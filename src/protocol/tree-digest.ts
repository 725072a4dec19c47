/**
 * One number for a whole manifest, which changes with every entry of it and can be kept up to date folder by folder: the exclusive or of the
 * marks of all folders that hold something. A folder's mark is the SHA-256 of its path and of `manifestLine` of each of its entries, by name.
 * Imports its own folder only.
 */
import { toHex } from './packed-folder.ts';
import { type Entry, manifestLine, parentOf } from './sync.ts';

/** SHA-256 of a text. */
export type HashText = (text: string) => Uint8Array;

/** `entries`: all of one folder, by name. */
export function folderMark(path: string, entries: Iterable<Entry>, hash: HashText): Uint8Array {
  let text = `${JSON.stringify(path)}\n`;
  for (const entry of entries) text += manifestLine(entry);
  return hash(text);
}

export class TreeDigest {
  readonly #sum = new Uint8Array(32);

  /** From `hex`, to go on from there. */
  static of(hex: string): TreeDigest {
    const digest = new TreeDigest();
    for (let at = 0; at < digest.#sum.length; at += 1) digest.#sum[at] = Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16);
    return digest;
  }

  /** Adds a folder's mark, or takes it out again. */
  toggle(mark: Uint8Array): void {
    for (const [at, byte] of mark.entries()) this.#sum[at] = (this.#sum[at] ?? 0) ^ byte;
  }

  /** 64 hex digits; of no folders all zeros. */
  get hex(): string {
    return toHex(this.#sum);
  }
}

/** Of entries of which those of one folder come one behind the other. */
export function digestOf(entries: Iterable<Entry>, hash: HashText): string {
  const digest = new TreeDigest();
  for (const [folder, inside] of byFolder(entries)) digest.toggle(folderMark(folder, inside, hash));
  return digest.hex;
}

export function* byFolder(entries: Iterable<Entry>): Generator<readonly [string, readonly Entry[]]> {
  let folder: string | null = null;
  let inside: Entry[] = [];
  for (const entry of entries) {
    const parent = parentOf(entry.path);
    if (parent !== folder && folder !== null) {
      yield [folder, inside];
      inside = [];
    }
    folder = parent;
    inside.push(entry);
  }
  if (folder !== null) yield [folder, inside];
}
