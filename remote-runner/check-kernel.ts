/** Runs one kernel on one GPU, in a process of its own with a time limit: a driver in trouble must not take us with it. */
import type { GpuFacts } from '../src/protocol/calls.ts';
import { boundedRun } from './bounded-run.ts';
import { kernelProgram } from './kernel-program.ts';

/** Opening the driver takes seconds a GPU where nothing keeps it loaded, and the kernel is compiled. */
const kernelWithinMs = 90_000;

export type KernelOutcome =
  | { readonly kind: 'ran' }
  /** `notYet`: the machine may still be starting what is missing. */
  | { readonly kind: 'failed'; readonly problem: string; readonly notYet: boolean }
  /** Nothing there could run one. */
  | { readonly kind: 'unknown'; readonly why: string };

/** The GPU is named by its UUID, so that neither the order of devices nor the caller's own choice of devices plays a part. */
export async function checkKernel(gpu: GpuFacts, env: NodeJS.ProcessEnv, withinMs = kernelWithinMs): Promise<KernelOutcome> {
  const seen: NodeJS.ProcessEnv = { ...env, CUDA_VISIBLE_DEVICES: gpu.uuid, CUDA_CACHE_DISABLE: '1' };
  // -I -S: nothing of the user's (PYTHONPATH, site packages, the working folder) is loaded.
  const end = await boundedRun('python3', ['-I', '-S', '-'], { env: seen, withinMs, input: kernelProgram });
  switch (end.kind) {
    case 'not-found':
      return { kind: 'unknown', why: 'there is no python3 to run a kernel with' };
    case 'not-started':
      return { kind: 'unknown', why: `python3 can not be started: ${end.problem}` };
    case 'timed-out':
      return failed(`a kernel did not end on it within ${withinMs / 1000} s`);
    case 'ended':
      return end.signal === null ? readVerdict(end.code, end.stdout, end.stderr) : failed(`the CUDA library crashed with it (${end.signal})`);
  }
}

function readVerdict(code: number | null, stdout: string, stderr: string): KernelOutcome {
  const said = parseVerdict(stdout);
  if (said === null) {
    const why = (stderr.trim() || stdout.trim()).split('\n').at(-1) ?? '';
    return { kind: 'unknown', why: `python3 could not run the check (exit code ${code}${why === '' ? '' : `: ${why}`})` };
  }
  if (said.ok) return said.weak === null ? { kind: 'ran' } : { kind: 'unknown', why: said.weak };
  const known = said.code === null ? undefined : meanings[said.code];
  if (said.step === 'load') return failed(`the CUDA driver library can not be loaded (${said.text})`);
  if (said.code === null) return failed(said.text);
  const name = `${said.step}: ${said.text === '' ? 'CUDA error' : said.text} ${said.code}`;
  return failed(known === undefined ? `CUDA does not work with it (${name})` : `${known} (${name})`, said.code === notReady);
}

function failed(problem: string, notYet = false): KernelOutcome {
  return { kind: 'failed', problem, notYet };
}

/** CUDA_ERROR_SYSTEM_NOT_READY. */
const notReady = 802;

/** Of CUresult in NVIDIA's CUDA driver API reference. */
const meanings: Readonly<Record<number, string>> = {
  2: 'its memory is full: something else is using it',
  46: 'it is busy or held by another process',
  100: 'CUDA sees no such GPU',
  101: 'CUDA sees no such GPU',
  214: 'its memory has an error that could not be corrected (ECC)',
  700: 'a kernel reached for memory that it may not',
  719: 'a kernel was broken off',
  [notReady]: 'the GPUs are not connected yet: the fabric manager is not running or not done',
  803: 'the CUDA library and the kernel module are of different versions',
  804: 'the CUDA library is of a version that this GPU does not support',
  999: 'the driver does not know what is wrong with it: the kernel log may (Xid)',
};

interface Said {
  readonly ok: boolean;
  readonly weak: string | null;
  readonly step: string;
  readonly code: number | null;
  readonly text: string;
}

function parseVerdict(stdout: string): Said | null {
  try {
    const said = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown> | null;
    if (typeof said !== 'object' || said === null || typeof said['ok'] !== 'boolean') return null;
    const text = (field: unknown) => (typeof field === 'string' ? field : '');
    return {
      ok: said['ok'],
      weak: typeof said['weak'] === 'string' ? said['weak'] : null,
      step: text(said['step']),
      code: typeof said['code'] === 'number' ? said['code'] : null,
      text: text(said['text']),
    };
  } catch {
    return null;
  }
}
