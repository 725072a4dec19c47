/** What the explanations of failures are made of. Pure. */
import type { ErrorCode, GpuRunErrorOptions } from '../../core/errors.ts';
import type { Signal } from './failure-signals.ts';

/** Where it was tried, and what. */
export interface FailurePlace {
  readonly project: string;
  readonly zone: string;
  readonly region: string;
  readonly type: string;
  /** The vendor's short name: `L4`. */
  readonly gpu: string | null;
  readonly spot: boolean;
}

export interface Explained extends Pick<GpuRunErrorOptions, 'hints' | 'retry' | 'elsewhere' | 'backOff'> {
  readonly code: ErrorCode;
  readonly message: string;
  /** Google has refused for certain: nothing came to exist. */
  readonly certain: boolean;
}

export type Place = Partial<FailurePlace>;

/** `g2-standard-4 (L4, spot)`. */
export function whatOf({ type, gpu, spot }: Place): string {
  const notes = [...(gpu === null || gpu === undefined ? [] : [gpu]), ...(spot === true ? ['spot'] : [])];
  return `${type ?? 'machine'}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
}

export function at({ zone }: Place): string {
  return zone === undefined ? '' : ` in ${zone}`;
}

export function atRegion({ region }: Place): string {
  return region === undefined ? '' : ` in ${region}`;
}

/** Google's own words, as one sentence. */
export function said({ message, codes }: Signal): string {
  const code = codes[0] === undefined || message.includes(codes[0]) ? '' : ` (${codes[0]})`;
  const text = message === '' ? 'no reason was given' : message.replace(/\.$/, '');
  return `${text}${code}.`;
}
