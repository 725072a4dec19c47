/**
 * A machine's workdir by rsync at both ends. What is sent is named file by file; rsync decides nothing: not what is left out, not what is
 * deleted. May import core, protocol and `node:`.
 */
import { closeSync, constants, fstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError } from '../core/errors.ts';
import { temporaryPrefix } from '../protocol/sync.ts';
import type { PlainPeer, PlainSeen } from './plain-peer.ts';
import { changeLine, changeScript } from './plain-shell.ts';
import { parseListLine } from './rsync-list.ts';
import { runRsync } from './rsync-run.ts';
import type { Found } from './scan.ts';

export interface RsyncParts {
  /** The user's `ssh` with its options, without the host. */
  readonly ssh: readonly string[];
  /** As `ssh` is given it. */
  readonly host: string;
  /** Absolute, on the machine. */
  readonly root: string;
  /** Runs a command on the machine. */
  readonly run: (argv: readonly string[], input: string, signal: AbortSignal) => Promise<{ readonly code: number; readonly stderr: string }>;
  /** Absolute, here: what is fetched lies there until it is placed. */
  readonly staging: string;
}

/** Modes, links and times of files and folders; each file beside its place first, in a folder of the same file system. */
const always = ['-lpt', '--no-h', '--timeout=300'];

export function rsyncPeer({ ssh, host, root, run, staging }: RsyncParts): PlainPeer {
  const workdir = `${root}/workdir`;
  const at = (path: string) => `${host.includes(':') ? `[${host}]` : host}:${path}`;
  const change: PlainPeer['change'] = async (changes, aside, signal) => {
    const { code, stderr } = await run(['sh', '-c', changeScript, 'gpu-run', root, aside], changes.map(changeLine).join(''), signal);
    if (code !== 0) throw cantChange(stderr);
  };
  return {
    method: 'rsync',
    workdir,
    change,
    list: async (signal) => {
      await change([], '', signal); // makes the workdir
      const seen = new Map<string, PlainSeen>();
      const onLine = (line: string) => {
        const found = parseListLine(line);
        if (found !== null) seen.set(found.path, found.seen);
      };
      await runRsync(ssh, { argv: ['--list-only', '-rpt', '--no-links', '--no-h', '--timeout=300', at(`${workdir}/`)], input: null, onLine, signal });
      return withoutOrphans(seen);
    },
    send: async ({ from, to }, entries, { signal, onBytes }) => {
      if (entries.length === 0) return { bytes: 0, torn: [], gone: [] };
      let bytes = 0;
      const onLine = (line: string) => {
        const size = /^gpu-run <f\S* (\d+)$/.exec(line)?.[1];
        if (size === undefined) return;
        bytes += Number(size);
        onBytes(Number(size));
      };
      const options = [...always, '--temp-dir', `${root}/incoming`, '--out-format=gpu-run %i %l'];
      const [first] = entries;
      const isFile = first?.kind === 'file' && first.path === to;
      const argv = isFile
        ? [...options, '--', from, at(`${workdir}/${to}`)]
        : [...options, '--files-from=-', '-0', '--', `${from}/`, at(`${workdir}/${to === '' ? '' : `${to}/`}`)];
      await runRsync(ssh, { argv, input: isFile ? null : namesOf(entries, to), onLine, signal });
      return { bytes, torn: [], gone: [] };
    },
    fetch: async (files, take, signal) => {
      if (files.length === 0) return;
      const folder = mkdtempSync(join(staging, `${temporaryPrefix}rsync-`));
      try {
        const input = Buffer.from(files.map(({ path }) => `./${path}\0`).join(''), 'utf8');
        // Without links: none of theirs can lead rsync out of the folder.
        const argv = ['-t', '--no-links', '--timeout=300', '--chmod=u+rw', '-p', '--files-from=-', '-0', '--', at(`${workdir}/`), `${folder}/`];
        await runRsync(ssh, { argv, input, onLine: () => {}, signal });
        for (const { path } of files) takeStaged(join(folder, path), path, take, signal);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    close: () => {},
  };
}

/** `./` in front: rsync takes lines that begin with # or ; for comments. */
function namesOf(entries: readonly Found[], to: string): Buffer {
  const inside = (path: string) => (to === '' ? path : path === to ? '' : path.slice(to.length + 1));
  return Buffer.from(entries.map(({ path }) => `./${inside(path)}\0`).join(''), 'utf8');
}

/** A list in which something lies below no folder is no list of a folder. */
function withoutOrphans(seen: ReadonlyMap<string, PlainSeen>): ReadonlyMap<string, PlainSeen> {
  const isFolder = (path: string): boolean => path === '' || seen.get(path)?.kind === 'dir';
  return new Map([...seen].filter(([path]) => isFolder(path.slice(0, Math.max(0, path.lastIndexOf('/'))))));
}

const blockBytes = 256 * 1024;

/** What is no regular file, or did not come, is left out. */
function takeStaged(absolute: string, path: string, take: (path: string, bytes: Buffer | null) => void, signal: AbortSignal): void {
  let fd: number;
  try {
    fd = openSync(absolute, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch {
    return;
  }
  try {
    if (!fstatSync(fd).isFile()) return;
    for (;;) {
      signal.throwIfAborted();
      const buffer = Buffer.allocUnsafe(blockBytes);
      const read = readSync(fd, buffer);
      if (read === 0) break;
      take(path, buffer.subarray(0, read));
    }
    take(path, null);
  } finally {
    closeSync(fd);
  }
}

function cantChange(stderr: string): GpuRunError {
  const why = stderr.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
  if (/no space|quota/i.test(why))
    return new GpuRunError('disk-full', `The machine's disk (or quota) is full: ${why}`, { hints: ['Free space on the machine.'] });
  return new GpuRunError('sync', `The machine's files can't be worked on: ${why}`, { hints: ['Make the path accessible on the machine, then try again.'] });
}
