/**
 * A computer with GPUs that are not there: a folder with an `nvidia-smi` that says what it is told, and a CUDA library without a
 * GPU, compiled where there is a C compiler. What it says can be changed while programs run.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface FakeGpus {
  /** For programs that shall see the GPUs. */
  readonly env: NodeJS.ProcessEnv;
  /** Answers with these from now on, one name a GPU; their UUIDs are `GPU-0`, `GPU-1`, ... */
  answer(names: readonly string[]): void;
  /** Fails with these words from now on. */
  fail(said: string, code?: number): void;
  /** Never answers. */
  hang(): void;
  /** There is no `nvidia-smi`. */
  remove(): void;
}

/**
 * `compiler`: builds the CUDA library with it; null: `python3` fails there, so that the GPUs are checked as far as nvidia-smi goes.
 * `base`: what else their environment holds.
 */
export function createFakeGpus(folder: string, names: readonly string[], compiler: string | null, base: NodeJS.ProcessEnv = process.env): FakeGpus {
  const bin = join(folder, 'gpu-bin');
  const lib = join(folder, 'gpu-lib');
  for (const each of [bin, lib]) mkdirSync(each, { recursive: true });
  if (compiler !== null) {
    const source = fileURLToPath(new URL('./fake-cuda.c', import.meta.url));
    execFileSync(compiler, ['-shared', '-fPIC', '-O1', '-o', join(lib, 'libcuda.so.1'), source]);
  } else {
    writeFileSync(join(bin, 'python3'), '#!/bin/sh\necho "no C compiler made a CUDA library to test with" >&2\nexit 1\n', { mode: 0o755 });
  }
  const smi = join(bin, 'nvidia-smi');
  const become = (script: string) => {
    writeFileSync(`${smi}.new`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    renameSync(`${smi}.new`, smi);
  };
  const gpus: FakeGpus = {
    env: { ...base, PATH: `${bin}:${base['PATH'] ?? '/usr/bin:/bin'}`, LD_LIBRARY_PATH: lib },
    answer: (devices) => {
      const list = devices.map((name, index) => `echo 'GPU ${index}: ${name} (UUID: GPU-${index})'`);
      const query = devices.map((name, index) => `echo '${index}, ${name}, GPU-${index}, 23034, 580.82.07'`);
      become(`if [ "$1" = -L ]; then\n:\n${list.join('\n')}\nelse\n:\n${query.join('\n')}\nfi`);
    },
    fail: (said, code = 9) => become(`cat <<'END' >&2\n${said}\nEND\nexit ${code}`),
    hang: () => become('exec sleep 600'),
    remove: () => rmSync(smi, { force: true }),
  };
  gpus.answer(names);
  return gpus;
}

/** The first C compiler on the PATH; null: none. */
export function findCompiler(): string | null {
  const works = (name: string) => {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  return ['cc', 'gcc', 'clang'].find(works) ?? null;
}
