/** Folders as plain values: what a test puts on disk, and what it finds there. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** `{ 'a/b.txt': 'text', 'run.sh': { text, mode }, 'empty/': null, 'link': { target } }`; a key that ends with a slash is a folder. */
export type Tree = Readonly<Record<string, string | Buffer | null | { readonly text?: string; readonly mode?: number; readonly target?: string }>>;

/** Parents come by themselves. Modes of folders are set last. */
export function writeTree(folder: string, tree: Tree): void {
  const folderModes: [string, number][] = [];
  for (const [key, value] of Object.entries(tree)) {
    const path = join(folder, key);
    mkdirSync(key.endsWith('/') ? path : dirname(path), { recursive: true });
    if (typeof value === 'string' || Buffer.isBuffer(value)) writeFileSync(path, value);
    else if (value?.target !== undefined) symlinkSync(value.target, path);
    else if (key.endsWith('/')) {
      if (value?.mode !== undefined) folderModes.push([path, value.mode]);
    } else {
      writeFileSync(path, value?.text ?? '');
      if (value?.mode !== undefined) chmodSync(path, value.mode);
    }
  }
  for (const [path, mode] of folderModes.reverse()) chmodSync(path, mode);
}

/**
 * Everything below a folder: path -> kind, mode and content. Folders' paths end with a slash. Two equal results are equal trees.
 * @param ignore leaves out a path and what lies below it
 */
export function readTree(folder: string, ignore: (path: string) => boolean = () => false): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (inside: string) => {
    for (const name of readdirSync(join(folder, inside)).sort()) {
      const path = inside === '' ? name : `${inside}/${name}`;
      if (ignore(path)) continue;
      const absolute = join(folder, path);
      const stats = lstatSync(absolute);
      const mode = (stats.mode & 0o777).toString(8);
      if (stats.isDirectory()) {
        found[`${path}/`] = `dir ${mode}`;
        walk(path);
      } else if (stats.isSymbolicLink()) found[path] = `link ${readlinkSync(absolute)}`;
      else if (stats.isFile()) found[path] = `file ${mode} ${readFileSync(absolute, 'latin1')}`;
      else found[path] = 'special';
    }
  };
  walk('');
  return found;
}

/** A fresh folder, removed with `remove` whatever modes its content was given. */
export function temporaryFolder(name: string): { readonly path: string; remove(): void } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), `gpu-run-${name}-`)));
  return {
    path,
    remove: () => {
      openUp(path);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

function openUp(folder: string): void {
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) openUp(join(folder, entry.name));
}
