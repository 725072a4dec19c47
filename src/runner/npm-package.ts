/** One file of a package from the npm registry, or whatever stands in for it here (company mirrors): fetched by npm itself, and checked. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { GpuRunError } from '../core/errors.ts';
import { extractFile } from './tar.ts';

export interface PinnedPackage {
  /** `name@version`. */
  readonly spec: string;
  /** `dist.integrity` on the registry. */
  readonly integrity: string;
}

export interface NpmFetch {
  /** An existing folder for temporary files. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Options for npm, fixed words. */
  readonly options?: readonly string[];
}

/** @throws GpuRunError `unfit` when npm can't fetch it, or what came is not what is pinned; `interrupted` */
export async function fetchPackageFile({ spec, integrity }: PinnedPackage, path: string, { folder, signal, options = [] }: NpmFetch): Promise<Readable> {
  const own = await mkdtemp(join(folder, 'npm-'));
  try {
    const brought = await readFile(join(folder, archiveName({ spec }))).catch(() => null); // by the user, where there is no internet
    const archive = brought ?? (await npmPack(spec, own, options, signal));
    if (`sha512-${createHash('sha512').update(archive).digest('base64')}` !== integrity) {
      throw new GpuRunError(
        'unfit',
        `${brought === null ? `What the npm registry gave for ${spec}` : join(folder, archiveName({ spec }))} is not what this gpu-run expects; it wasn't used.`,
      );
    }
    return await extractFile(Readable.from([archive]).pipe(createGunzip()), path);
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

/** As `npm pack` names it: `@a/b@1` becomes `a-b-1.tgz`. */
export function archiveName({ spec }: Pick<PinnedPackage, 'spec'>): string {
  return `${spec.replace(/^@/, '').replace(/[/@]/g, '-')}.tgz`;
}

async function npmPack(spec: string, cwd: string, options: readonly string[], signal: AbortSignal): Promise<Buffer> {
  try {
    const windows = process.platform === 'win32'; // npm is a script there; the words are fixed ones, so a shell does no harm
    const { stdout } = await promisify(execFile)('npm', ['pack', '--silent', ...options, spec], { cwd, signal, shell: windows });
    return await readFile(join(cwd, stdout.trim().split('\n').at(-1) ?? ''));
  } catch (error) {
    if (signal.aborted) throw new GpuRunError('interrupted', 'Interrupted.', { cause: error });
    throw new GpuRunError('unfit', `npm pack ${spec} failed.`, { cause: error, hints: [`npm pack ${spec}   shows what is wrong here`] });
  }
}
