/** The CUDA library of emulated GPUs, compiled once for a process, where there is a C compiler. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const source = fileURLToPath(new URL('../../support/fake-gpu/fake-cuda.c', import.meta.url));

let compiled: Promise<Buffer | null> | null = null;

/** Path of a `libcuda.so.1` in this folder; null: it can't be made here. */
export async function compileCuda(folder: string): Promise<string | null> {
  const library = await (compiled ??= compile());
  if (library === null) return null;
  const file = join(folder, 'libcuda.so.1');
  try {
    writeFileSync(file, library);
    return file;
  } catch {
    return null; // the emulator was closed meanwhile
  }
}

async function compile(): Promise<Buffer | null> {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-cuda-'));
  const file = join(folder, 'libcuda.so.1');
  try {
    for (const compiler of ['cc', 'gcc', 'clang']) {
      try {
        await promisify(execFile)(compiler, ['-shared', '-fPIC', '-O1', '-o', file, source]);
        return readFileSync(file);
      } catch {
        // The next one, if any.
      }
    }
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
