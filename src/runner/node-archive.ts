/**
 * A Node for Linux, or what stands in for it, as a gzip file in the cache on this computer: from this very Node where it fits, else
 * from the npm packages that carry the official builds (which also come through company mirrors).
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import { bunVersion, type LinuxArch, nodeVersion, type PinnedProgram, pinnedBun, pinnedNode } from './node-pin.ts';
import { archiveName, fetchPackageFile } from './npm-package.ts';

export interface ProgramArchive {
  /** gzip of the program alone. */
  readonly file: string;
  /** Of `file`. */
  readonly bytes: number;
  /** Names the folder on the machine: `24.21.0-x64`, `bun-1.4.5-x64`. */
  readonly name: string;
  /** Of the unpacked program. */
  readonly sha256: string;
  readonly unpackedBytes: number;
}

/** The Node that runs us, when it is one for that machine; null otherwise. Whether it really runs there shows there. */
export async function ownNode(arch: LinuxArch, cache: string): Promise<ProgramArchive | null> {
  if (process.platform !== 'linux' || process.arch !== arch) return null;
  const { size, mtimeMs } = await stat(process.execPath);
  return cached(cache, `${process.versions.node}-${arch}`, 'own', `${process.execPath} ${size} ${mtimeMs}`, async () => createReadStream(process.execPath));
}

/** @throws GpuRunError `unfit` when npm can't fetch it, or what came is not what is pinned */
export async function npmNode(arch: LinuxArch, cache: string, signal: AbortSignal): Promise<ProgramArchive> {
  const pin = pinnedNode[arch];
  return cached(cache, `${nodeVersion}-${arch}`, 'npm', pin.integrity, () => fetchFromNpm(pin, cache, signal));
}

/** @throws as `npmNode` */
export async function npmBun(arch: LinuxArch, cache: string, signal: AbortSignal): Promise<ProgramArchive> {
  const pin = pinnedBun[arch];
  return cached(cache, `bun-${bunVersion}-${arch}`, 'npm', pin.integrity, () => fetchFromNpm(pin, cache, signal));
}

interface Remembered {
  /** What it was made from: another source makes it anew. */
  readonly from: string;
  readonly sha256: string;
  readonly unpackedBytes: number;
  /** Of the file itself: a computer that crashes may leave it short, or full of zeros. */
  readonly bytes: number;
  readonly fileSha256: string;
}

async function cached(cache: string, name: string, kind: 'own' | 'npm', from: string, open: () => Promise<Readable>): Promise<ProgramArchive> {
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const file = join(cache, `node-${name}-${kind}.gz`);
  let known = await remembered(file, from);
  if (known === null) {
    known = { from, ...(await compress(await open(), file)) };
    const text = JSON.stringify(known);
    await putInPlace(`${file}.json`, (hidden) => writeFile(hidden, text, { mode: 0o600, flush: true }));
  }
  return { file, bytes: known.bytes, name, sha256: known.sha256, unpackedBytes: known.unpackedBytes };
}

/** null: there is none, or it is not what was put there. */
async function remembered(file: string, from: string): Promise<Remembered | null> {
  try {
    const known = JSON.parse(await readFile(`${file}.json`, 'utf8')) as Remembered;
    if (known.from !== from || (await stat(file)).size !== known.bytes) return null;
    const counted = count();
    await pipeline(createReadStream(file), counted.through, async (chunks) => {
      for await (const _ of chunks);
    });
    return counted.sha256() === known.fileSha256 ? known : null;
  } catch {
    return null;
  }
}

/** Fast rather than small: it is done once, and while somebody waits. */
async function compress(content: Readable, file: string): Promise<Omit<Remembered, 'from'>> {
  const program = count();
  const packed = count();
  await putInPlace(file, (hidden) =>
    pipeline(
      content,
      program.through,
      createGzip({ level: constants.Z_BEST_SPEED + 2 }),
      packed.through,
      createWriteStream(hidden, { mode: 0o600, flush: true }),
    ),
  );
  return { sha256: program.sha256(), unpackedBytes: program.bytes(), bytes: packed.bytes(), fileSha256: packed.sha256() };
}

function count() {
  const hash = createHash('sha256');
  let bytes = 0;
  return {
    through: async function* (content: AsyncIterable<Uint8Array>) {
      for await (const chunk of content) {
        hash.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
    },
    bytes: () => bytes,
    sha256: () => hash.digest('hex'),
  };
}

/** Whole or not at all; several may do it at the same time, the last one stays. */
async function putInPlace(file: string, write: (hidden: string) => Promise<void>): Promise<void> {
  const hidden = `${file}.${randomUUID()}.tmp`;
  try {
    await write(hidden);
    await rename(hidden, file);
  } finally {
    await rm(hidden, { force: true });
  }
}

/** Left alone, npm tries for more than a minute where there is no internet, while somebody waits. */
const briefRetries = ['--fetch-retries=1', '--fetch-retry-mintimeout=2000', '--fetch-retry-maxtimeout=5000'];

async function fetchFromNpm(pin: PinnedProgram, folder: string, signal: AbortSignal): Promise<Readable> {
  try {
    return await fetchPackageFile(pin, pin.path, { folder, signal, options: briefRetries });
  } catch (error) {
    const failure = toGpuRunError(error);
    if (failure.code !== 'unfit') throw failure;
    throw new GpuRunError('unfit', `The machine has no Node that the runner can use, and none could be fetched here to bring along. ${failure.message}`, {
      cause: failure,
      hints: [
        'Install Node 20 or later on the machine, and try again.',
        ...failure.hints,
        `Without internet here: 'npm pack ${pin.spec}' on a computer that has it, then put ${archiveName(pin)} into ${folder}`,
      ],
    });
  }
}
