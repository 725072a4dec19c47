/**
 * From what a scan found to what the machine is told: contents identified, the digest over all of it, and the checks that
 * sources don't get into each other's way. May import core, protocol and `node:`.
 */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import { type Entry, isWithin, manifestLine, pathProblem, toMtime } from '../protocol/sync.ts';
import type { HashCache } from './hash-cache.ts';
import { identify } from './local-file.ts';
import type { FoundFile, Scan } from './scan.ts';

export interface Manifest {
  readonly entries: readonly Entry[];
  readonly digest: string;
  /** Absolute path by index, of files. */
  readonly absolute: ReadonlyMap<number, string>;
  readonly files: number;
  readonly bytes: number;
}

/** Reads what the cache doesn't know. @throws GpuRunError `sync` when anything can't be read: nothing is sent then */
export async function buildManifest(scan: Scan, cache: HashCache, signal: AbortSignal): Promise<Manifest> {
  const entries: Entry[] = [];
  const absolute = new Map<number, string>();
  const unreadable = [...scan.unreadable];
  const hash = createHash('sha256');
  let bytes = 0;
  for (const found of scan.found) {
    signal.throwIfAborted();
    const entry = found.kind === 'file' ? await identified(found, cache, unreadable, signal) : found;
    if (entry === null) continue;
    if (found.kind === 'file') absolute.set(entries.length, found.absolute);
    if (entry.kind === 'file') bytes += entry.size;
    hash.update(manifestLine(entry));
    entries.push(entry);
  }
  refuseUnreadable(unreadable);
  return { entries, digest: hash.digest('hex'), absolute, files: absolute.size, bytes };
}

/** null: it vanished since the scan, or can't be read. */
async function identified(found: FoundFile, cache: HashCache, unreadable: string[], signal: AbortSignal): Promise<Entry | null> {
  const { path, mode, mtime, size, stamp, absolute } = found;
  const known = cache.get(path, stamp);
  if (known !== null) return { kind: 'file', path, mode, mtime, size, sha256: known };
  const readFromNs = BigInt(Date.now()) * 1_000_000n;
  try {
    const read = await identify(absolute, signal);
    if (read === null) return null;
    cache.put(path, read.stamp, read.sha256, readFromNs);
    const changed = read.stamp !== stamp;
    return { kind: 'file', path, mode, mtime: changed ? mtimeOf(read.stamp) : mtime, size: read.size, sha256: read.sha256 };
  } catch (error) {
    if (systemErrorCode(error) !== 'EACCES' && systemErrorCode(error) !== 'EPERM') throw error;
    unreadable.push(path);
    return null;
  }
}

function mtimeOf(stamp: string): number {
  return toMtime(BigInt(stamp.split(':')[2] ?? 0));
}

/** @throws GpuRunError `sync` when there is any */
export function refuseUnreadable(paths: readonly string[]): void {
  if (paths.length === 0) return;
  const some = paths.slice(0, 5).join(', ');
  throw new GpuRunError(
    'sync',
    `${paths.length === 1 ? '1 path' : `${paths.length} paths`} can't be read, so nothing was sent: ${some}${paths.length > 5 ? ', ...' : ''}`,
    {
      hints: ['Make them readable (chmod u+r), or leave them out: add them to .gpurunignore or to `sync.exclude` in gpu-run.yaml.'],
    },
  );
}

/** `./data/pets/` as `data/pets`; `.` as the empty string, the workdir itself. @throws GpuRunError `bad-input` when it leads out of the workdir */
export function workdirPath(text: string, what: string): string {
  const normal = posix.normalize(text).replace(/\/+$/, '');
  const path = normal === '.' ? '' : normal;
  if (text === '' || posix.isAbsolute(text) || (path !== '' && pathProblem(path) !== null)) {
    throw new GpuRunError('bad-input', `${what} '${text}' isn't a path inside the workdir.`, {
      hints: ['Write it relative to the workdir, without .. and without a slash in front, as in data/pets.'],
    });
  }
  return path;
}

/** @throws GpuRunError `bad-input` when one target is, or lies in, another */
export function refuseNestedTargets(targets: readonly string[]): void {
  for (const [index, target] of targets.entries()) {
    if (target === '')
      throw new GpuRunError('bad-input', "Data can't be synced to the workdir itself: that is where the code goes.", {
        hints: ['Give it a folder of its own, as in to: data.'],
      });
    const other = targets.find((candidate, at) => at !== index && isWithin(candidate, target));
    if (other !== undefined)
      throw new GpuRunError('bad-input', `Two data targets overlap: '${target}' and '${other}'.`, {
        hints: ['Give each its own folder under `sync.data` in gpu-run.yaml.'],
      });
  }
}

/** @throws GpuRunError `bad-input` when code would land in a data target, or in its way */
export function refuseOverlap(entries: readonly Pick<Entry, 'path' | 'kind'>[], targets: readonly string[]): void {
  for (const target of targets) {
    const entry = entries.find(({ path, kind }) => isWithin(path, target) || (kind !== 'dir' && isWithin(target, path)));
    if (entry === undefined) continue;
    throw new GpuRunError('bad-input', `The code has ${entry.path} where the data target '${target}' belongs.`, {
      hints: [`Leave it out of the code: add /${entry.path} to \`sync.exclude\` in gpu-run.yaml.`, 'Or choose another `to` for the data.'],
    });
  }
}
