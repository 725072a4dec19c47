/** What is to go wrong: kept as a list, asked at the places where it can. `fault-switches.ts` has the names that tests use. */
import type { OperationError } from '../../../src/providers/gcp/gce-resources.ts';
import type { ApiError } from './api-error.ts';

/** Which calls, orders and machines are meant; what is left out means all. */
export interface Where {
  readonly zones?: readonly string[];
  readonly regions?: readonly string[];
  readonly machineTypes?: readonly string[];
  /** Of the instance. */
  readonly names?: RegExp;
  readonly spot?: boolean;
  /** How often; left out: always. */
  readonly times?: number;
}

export interface Subject {
  readonly zone?: string | undefined;
  readonly region?: string | undefined;
  readonly machineType?: string | undefined;
  readonly name?: string | undefined;
  readonly spot?: boolean | undefined;
}

/** What becomes of a call. `after`: it has taken effect, and nobody is told. */
export type CallFault =
  | { readonly kind: 'error'; readonly error: ApiError }
  | { readonly kind: 'reset' | 'hang'; readonly when: 'before' | 'after' }
  | { readonly kind: 'slow'; readonly ms: number };

export type OperationFault =
  | { readonly kind: 'error'; readonly errors: readonly OperationError[]; readonly httpStatus: number; readonly keepsTarget: boolean }
  | { readonly kind: 'never-ends' }
  | { readonly kind: 'slow'; readonly ms: number };

export interface MachineFault {
  /** Milliseconds from RUNNING to an SSH server that answers. */
  readonly bootMs?: number;
  /** The machine runs, and sshd never starts; neither does anything else in it. */
  readonly neverSsh?: boolean;
  /** The guest agent publishes no host keys; the startup script may. */
  readonly noAgent?: boolean;
  /** Nothing on the machine can publish host keys. */
  readonly noHostKeys?: boolean;
  /** Published keys are not those of the server. */
  readonly wrongHostKeys?: boolean;
  readonly driverMissing?: boolean;
  /** Milliseconds from boot until nvidia-smi is there. */
  readonly driverInstallsAfterMs?: number;
  /** As many GPUs as nvidia-smi shows. */
  readonly gpuCount?: number;
  /** Milliseconds from RUNNING. */
  readonly preemptAfterMs?: number;
  /** Milliseconds from RUNNING until it is gone without an operation. */
  readonly vanishAfterMs?: number;
  /** The time at which it is to end is told as ever, and nothing happens then. */
  readonly timerFails?: boolean;
}

interface Entry<T> {
  readonly where: Where;
  readonly types: RegExp | null;
  readonly fault: T;
  left: number;
  hits: number;
}

export interface FaultHandle {
  /** How often it has struck. */
  hits(): number;
  remove(): void;
}

export interface FaultList<T> {
  add(where: Where, fault: T, types?: RegExp): FaultHandle;
  /** The first that applies, counted as used; null: none. */
  take(subject: Subject, type?: string): T | null;
  /** All that apply, none counted. */
  all(subject: Subject): readonly T[];
  clear(): void;
}

export interface Faults {
  /** `types` match the call: `instances.insert`. */
  readonly calls: FaultList<CallFault>;
  /** `types` match the operation's type: `insert`. */
  readonly operations: FaultList<OperationFault>;
  readonly machines: FaultList<MachineFault>;
  /** How a scope that can't be reached shows in lists. */
  readonly unreachable: FaultList<'unreachables' | 'warning' | 'both'>;
}

export function makeFaults(): Faults {
  return { calls: faultList(), operations: faultList(), machines: faultList(), unreachable: faultList() };
}

function faultList<T>(): FaultList<T> {
  const entries = new Set<Entry<T>>();
  return {
    add: (where, fault, types) => {
      const entry: Entry<T> = { where, fault, types: types ?? null, left: where.times ?? Number.POSITIVE_INFINITY, hits: 0 };
      entries.add(entry);
      return { hits: () => entry.hits, remove: () => entries.delete(entry) };
    },
    take: (subject, type) => {
      for (const entry of entries) {
        if (entry.left <= 0 || (entry.types !== null && !entry.types.test(type ?? '')) || !applies(entry.where, subject)) continue;
        entry.left--;
        entry.hits++;
        return entry.fault;
      }
      return null;
    },
    all: (subject) => [...entries].filter((entry) => entry.left > 0 && applies(entry.where, subject)).map(({ fault }) => fault),
    clear: () => entries.clear(),
  };
}

function applies(where: Where, { zone, region = zone?.slice(0, zone.lastIndexOf('-')), machineType, name, spot }: Subject): boolean {
  const isIn = (list: readonly string[] | undefined, value: string | undefined) => list === undefined || (value !== undefined && list.includes(value));
  if (!isIn(where.zones, zone) || !isIn(where.regions, region) || !isIn(where.machineTypes, machineType)) return false;
  if (where.names !== undefined && (name === undefined || !where.names.test(name))) return false;
  return where.spot === undefined || where.spot === spot;
}
