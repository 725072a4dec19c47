/** The CUDA library of emulated GPUs, compiled once for an emulator, where there is a C compiler. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const source = fileURLToPath(new URL('../../support/fake-gpu/fake-cuda.c', import.meta.url));

/** Path of a `libcuda.so.1`; null: it can't be made here. */
export async function compileCuda(folder: string): Promise<string | null> {
  const file = join(folder, 'libcuda.so.1');
  for (const compiler of ['cc', 'gcc', 'clang']) {
    try {
      await promisify(execFile)(compiler, ['-shared', '-fPIC', '-O1', '-o', file, source]);
      return file;
    } catch {
      // The next one, if any.
    }
  }
  return null;
}
