/** The `preflight` call: can jobs use the machine's GPUs? And a check of the answer, before anybody acts on it. Imports its own folder only. */
import { FrameError } from './frame.ts';
import { isFields } from './shape.ts';

export type DriverState =
  /** `nvidia-smi` answers. */
  | 'ready'
  /** An installer is at work: ask again. */
  | 'installing'
  /** The machine has just booted, and what it has may not have come up yet: ask again. */
  | 'starting'
  /** There is none, and nobody installs one. */
  | 'missing'
  /** There is one, and it does not work. */
  | 'failing';

export interface GpuCheck {
  readonly index: number;
  readonly name: string;
  /** A kernel ran on it and its numbers were right; `unknown`: nothing could run one there, `note` of the report says why. */
  readonly kernel: 'ran' | 'failed' | 'unknown';
  /** One sentence without a full stop; null: nothing is wrong with it. */
  readonly problem: string | null;
}

export interface PreflightReport {
  readonly driver: DriverState;
  /** Why it is not `ready`, in words without a full stop. */
  readonly problem: string | null;
  /** In the order of `nvidia-smi`. Empty unless the driver is ready. */
  readonly gpus: readonly GpuCheck[];
  /** What could not be checked, and why. */
  readonly note: string | null;
}

const states: ReadonlySet<unknown> = new Set<DriverState>(['ready', 'installing', 'starting', 'missing', 'failing']);
const kernels: ReadonlySet<unknown> = new Set<GpuCheck['kernel']>(['ran', 'failed', 'unknown']);
/** More than any machine has. */
const mostGpus = 256;
const longestText = 500;

/** A copy with nothing else in it, texts without control characters and of bounded length. @throws FrameError */
export function parsePreflight(value: unknown): PreflightReport {
  if (!isFields(value) || !states.has(value['driver']) || !Array.isArray(value['gpus']) || value['gpus'].length > mostGpus) throw wrong();
  return {
    driver: value['driver'] as DriverState,
    problem: textOrNull(value['problem']),
    gpus: value['gpus'].map(parseCheck),
    note: textOrNull(value['note']),
  };
}

function parseCheck(value: unknown): GpuCheck {
  if (!isFields(value) || !Number.isSafeInteger(value['index']) || !kernels.has(value['kernel'])) throw wrong();
  const name = textOrNull(value['name']);
  if (name === null) throw wrong();
  return { index: value['index'] as number, name, kernel: value['kernel'] as GpuCheck['kernel'], problem: textOrNull(value['problem']) };
}

function textOrNull(value: unknown): string | null {
  if (value === null) return null;
  if (typeof value !== 'string') throw wrong();
  return value
    .replace(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, longestText);
}

function wrong(): FrameError {
  return new FrameError('the answer to a preflight has the wrong shape');
}
