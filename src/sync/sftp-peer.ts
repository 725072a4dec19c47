/** A machine's workdir by SFTP: works where nothing can be run. May import core, protocol and `node:`. */
import { posix } from 'node:path';
import { pathProblem } from '../protocol/sync.ts';
import { reading } from './local-file.ts';
import type { PlainChange, PlainOptions, PlainPeer, PlainSeen, PlainSent } from './plain-peer.ts';
import type { Found, FoundFile } from './scan.ts';
import type { SftpClient } from './sftp-client.ts';
import { notSftp, type SftpAttrs } from './sftp-packet.ts';

/** So many files, or folders, are worked on at once: each takes several round trips. */
const atOnce = 16;
/** More than any workdir holds: a machine that lists folders in folders without end fills no memory here. */
const mostListed = 5_000_000;
/** A file that changes while it is read is read again so often. */
const attempts = 3;
const pieceBytes = 256 * 1024;

/** `root`: absolute, on the machine; its parents are made. */
export function sftpPeer(client: SftpClient, root: string): PlainPeer {
  const workdir = `${root}/workdir`;
  const incoming = `${root}/incoming`;
  let made = false;
  const makeRoot = async () => {
    if (made) return;
    for (const folder of [workdir, incoming]) await makeFolders(client, folder);
    for (const { name } of (await client.list(incoming)) ?? []) await client.remove(`${incoming}/${name.toString('utf8')}`); // of a push that was cut
    made = true;
  };
  return {
    method: 'sftp',
    workdir,
    list: async (signal) => {
      await makeRoot();
      return await listAll(client, workdir, signal);
    },
    change: async (changes, aside, signal) => {
      for (const change of changes) {
        signal.throwIfAborted();
        await apply(client, change, workdir, aside);
      }
    },
    send: async (_source, entries, options) => {
      await makeRoot();
      return await sendAll(client, { workdir, incoming }, entries, options);
    },
    fetch: async (files, take, signal) => {
      for (const { path, size } of files) {
        signal.throwIfAborted();
        if (await client.read(`${workdir}/${path}`, size, (bytes) => take(path, bytes))) take(path, null);
      }
    },
    close: () => client.close(),
  };
}

async function makeFolders(client: SftpClient, path: string): Promise<void> {
  if (path === '/' || (await client.lstat(path)) !== null) return;
  await makeFolders(client, posix.dirname(path));
  await client.mkdir(path, 0o700);
}

async function listAll(client: SftpClient, workdir: string, signal: AbortSignal): Promise<ReadonlyMap<string, PlainSeen>> {
  const seen = new Map<string, PlainSeen>();
  let folders = [''];
  while (folders.length > 0) {
    const next: string[] = [];
    await inTurns(folders, async (folder) => {
      signal.throwIfAborted();
      for (const found of (await client.list(folder === '' ? workdir : `${workdir}/${folder}`)) ?? []) {
        const path = pathOf(folder, found.name);
        if (path === null) continue;
        const here = seenOf(found);
        seen.set(path, here);
        if (seen.size > mostListed) throw notSftp('folders without end');
        if (here.kind === 'dir') next.push(path);
      }
    });
    folders = next;
  }
  return seen;
}

/** null: a name that nothing of ours has. */
function pathOf(folder: string, name: Buffer): string | null {
  const text = name.toString('utf8');
  const path = folder === '' ? text : `${folder}/${text}`;
  return text.includes('/') || pathProblem(path) !== null || !Buffer.from(text, 'utf8').equals(name) ? null : path;
}

function seenOf(attrs: SftpAttrs): PlainSeen {
  return { kind: kindOf(attrs), size: attrs.size, mtime: attrs.mtime, executable: ((attrs.mode ?? 0) & 0o100) !== 0 };
}

function kindOf({ mode }: SftpAttrs): PlainSeen['kind'] {
  const type = (mode ?? 0) & 0o170000;
  return type === 0o100000 ? 'file' : type === 0o040000 ? 'dir' : type === 0o120000 ? 'link' : 'other';
}

async function apply(client: SftpClient, { op, path }: PlainChange, workdir: string, aside: string): Promise<void> {
  const absolute = `${workdir}/${path}`;
  if (op === 'remove') return await client.remove(absolute);
  if (op === 'rmdir') return void (await client.rmdir(absolute));
  if (op === 'mkdir') return await makeFolders(client, absolute);
  let to = `${aside}/${path}`;
  await makeFolders(client, posix.dirname(to));
  while ((await client.lstat(to)) !== null) to = `${to}~`;
  await client.rename(absolute, to);
}

async function sendAll(
  client: SftpClient,
  { workdir, incoming }: { readonly workdir: string; readonly incoming: string },
  entries: readonly Found[],
  options: PlainOptions,
): Promise<PlainSent> {
  const torn: string[] = [];
  const gone: string[] = [];
  let bytes = 0;
  let number = 0;
  const folders = entries.filter((entry) => entry.kind === 'dir');
  for (const { path } of folders) await client.mkdir(`${workdir}/${path}`, 0o700);
  const files = entries.filter((entry): entry is FoundFile => entry.kind === 'file');
  await inTurns(files, async (file) => {
    number += 1;
    const temporary = `${incoming}/${number}`;
    const sent = await sendFile(client, file, temporary, options);
    if (sent === null) return void gone.push(file.path);
    bytes += sent.bytes;
    if (sent.torn) torn.push(file.path);
    await client.rename(temporary, `${workdir}/${file.path}`);
  });
  for (const entry of entries) {
    if (entry.kind !== 'link') continue;
    await client.symlink(entry.target, `${incoming}/link`);
    await client.rename(`${incoming}/link`, `${workdir}/${entry.path}`);
  }
  for (const { path, mode, mtime } of folders.toReversed()) await client.setAttrs(`${workdir}/${path}`, { mode, mtime: Math.floor(mtime / 1e6) });
  return { bytes, torn, gone };
}

/** null: it isn't there any more. */
async function sendFile(client: SftpClient, file: FoundFile, temporary: string, options: PlainOptions): Promise<{ bytes: number; torn: boolean } | null> {
  const piece = Buffer.allocUnsafe(Math.min(pieceBytes, file.size + 1));
  for (let attempt = 1; ; attempt += 1) {
    options.signal.throwIfAborted();
    const source = reading.open(file.absolute);
    if (source === null) return null;
    try {
      const stamp = source.stamp();
      let bytes = 0;
      const next = () => {
        options.signal.throwIfAborted();
        const read = source.read(piece);
        bytes += read;
        options.onBytes(read);
        return read === 0 ? null : piece.subarray(0, read);
      };
      await client.write(temporary, () => ({ mode: file.mode, mtime: mtimeOf(source.stamp()) }), next);
      const torn = source.stamp() !== stamp;
      if (!torn || attempt === attempts) return { bytes, torn };
    } finally {
      source.close();
    }
  }
}

/** Whole seconds, of a stamp. */
function mtimeOf(stamp: string): number {
  return Number(BigInt(stamp.split(':')[2] ?? 0) / 1_000_000_000n);
}

/** A few at once; the first failure ends it. */
async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let at = 0;
  let failed = false;
  const worker = async () => {
    while (at < items.length && !failed) {
      const item = items[at] as T;
      at += 1;
      try {
        await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
