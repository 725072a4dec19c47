/** Whether two folders hold the same: names, kinds, content, permissions, targets of links. Fast enough for gigabytes. */
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { join } from 'node:path';

/** @throws Error that names the first path that differs */
export function assertSameTree(expected: string, found: string): void {
  const difference = differenceOf(expected, found, '');
  if (difference !== null) throw new Error(`${found} is not equal to ${expected}: ${difference}`);
}

function differenceOf(expected: string, found: string, path: string): string | null {
  const names = readdirSync(join(expected, path)).sort();
  const there = readdirSync(join(found, path)).sort();
  const missing = names.find((name) => !there.includes(name));
  const extra = there.length === names.length ? undefined : there.find((name) => !names.includes(name));
  if (missing !== undefined || extra !== undefined)
    return missing === undefined ? `${join(path, extra ?? '')} is too much` : `${join(path, missing)} is missing`;
  for (const name of names) {
    const inside = join(path, name);
    const [one, other] = [join(expected, inside), join(found, inside)];
    const [a, b] = [lstatSync(one), lstatSync(other)];
    if (a.mode !== b.mode) return `${inside} has mode ${b.mode.toString(8)} instead of ${a.mode.toString(8)}`;
    const difference = a.isDirectory() ? differenceOf(expected, found, inside) : sameContent(one, other, a, b) ? null : `${inside} has other content`;
    if (difference !== null) return difference;
  }
  return null;
}

const piece = 4 * 1024 * 1024;

function sameContent(one: string, other: string, a: Stats, b: Stats): boolean {
  if (a.isSymbolicLink()) return readlinkSync(one) === readlinkSync(other);
  if (a.size !== b.size) return false;
  if (a.size <= piece) return readFileSync(one).equals(readFileSync(other));
  const [first, second] = [openSync(one, 'r'), openSync(other, 'r')];
  try {
    const [left, right] = [Buffer.alloc(piece), Buffer.alloc(piece)];
    for (let at = 0; at < a.size; at += piece) {
      const read = readSync(first, left, 0, piece, at);
      if (readSync(second, right, 0, piece, at) !== read || left.compare(right, 0, read, 0, read) !== 0) return false;
    }
    return true;
  } finally {
    closeSync(first);
    closeSync(second);
  }
}
