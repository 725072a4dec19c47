/**
 * Brings koffi's native module (1.1 MB) to a machine with an NVIDIA driver, where the runner asks the driver's library with it. Nobody
 * needs it: without it the runner asks nvidia-smi. So whatever fails here costs some seconds once in an hour, and no error.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { koffiFileName } from '../protocol/native.ts';
import type { Transport } from '../transport/transport.ts';
import { type PinnedNative, pinnedNative } from './native-pin.ts';
import type { LinuxArch } from './node-pin.ts';
import { fetchPackageFile } from './npm-package.ts';
import type { Probe } from './probe.ts';

export interface NativeSources {
  /** Where fetched files are kept on this computer. */
  readonly cache: string;
  readonly pins?: Readonly<Record<LinuxArch, PinnedNative>>;
}

const fetchWithinMs = 20_000;
const tryAgainAfterMs = 3_600_000;
/** It is not worth waiting for a registry that does not answer. */
const impatient = ['--fetch-retries=0', `--fetch-timeout=${fetchWithinMs}`];

/** Whether it is there now. Never rejects. */
export async function deliverNative(transport: Transport, probe: Probe, { cache, pins = pinnedNative }: NativeSources, signal: AbortSignal): Promise<boolean> {
  const arch = probe.hasNvidia && probe.os === 'Linux' ? archOf(probe.arch) : null;
  if (arch === null) return false;
  if (probe.nativeHash === pins[arch].sha256) return true;
  try {
    const content = await cachedNative(pins[arch], join(cache, koffiFileName(arch)), cache, signal);
    if (content === null) return false;
    await transport.copyTo(content, `${probe.home}/.gpu-run/native/${koffiFileName(arch)}`, { mode: 0o600, signal });
    return true;
  } catch {
    return false;
  }
}

/** Processors that are none of these have none. */
export function archOf(machine: string): LinuxArch | null {
  return ({ x86_64: 'x64', amd64: 'x64', aarch64: 'arm64', arm64: 'arm64' } as const)[machine] ?? null;
}

async function cachedNative(pin: PinnedNative, file: string, cache: string, signal: AbortSignal): Promise<Uint8Array | null> {
  const kept = await readFile(file).catch(() => null);
  if (kept !== null && hashOf(kept) === pin.sha256) return kept;
  const failed = `${file}.failed`;
  if (Date.now() - ((await stat(failed).catch(() => null))?.mtimeMs ?? 0) < tryAgainAfterMs) return null;
  await mkdir(cache, { recursive: true, mode: 0o700 });
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(fetchWithinMs)]);
    const content = await buffer(await fetchPackageFile(pin, pin.path, { folder: cache, signal: limit, options: impatient }));
    if (hashOf(content) !== pin.sha256) throw new Error('not the file that is pinned');
    await keep(file, content);
    await rm(failed, { force: true });
    return content;
  } catch (error) {
    if (!signal.aborted) await writeFile(failed, '', { mode: 0o600 });
    throw error;
  }
}

async function keep(file: string, content: Uint8Array): Promise<void> {
  const hidden = `${file}.${process.pid}.tmp`;
  await writeFile(hidden, content, { mode: 0o600 });
  await rename(hidden, file);
}

function hashOf(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
