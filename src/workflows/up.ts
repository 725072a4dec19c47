/** `up`: from a need to a machine that is ready. Reuses a live machine of the same name. */
import type { ResourceNeed, Offer } from '../core/offer.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';

export interface UpInput {
  readonly name: string;
  /** Tried in order. */
  readonly providers: readonly string[];
  readonly need: ResourceNeed;
  readonly template: string | null;
  readonly maxTimeSeconds: number;
  readonly idleSeconds: number | null;
  readonly budgetUsd: number | null;
  readonly forOneJob: boolean;
}

export interface UpAttempt {
  readonly provider: string;
  readonly region: string | null;
  readonly zone: string | null;
  readonly type: string;
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
}

export interface UpResult {
  readonly machine: MachineEntry;
  readonly reused: boolean;
  readonly attempts: readonly UpAttempt[];
  /** Who ends the machine at its deadline, in words, as in `protection[]` of the JSON. */
  readonly protection: readonly string[];
}

export interface UpPlan {
  /** Best first. */
  readonly offers: readonly Offer[];
  /** The first offer's price until the deadline; null without offers. */
  readonly worstCaseUsd: number | null;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** A live machine of that name would be reused. */
  readonly existing: MachineEntry | null;
}

export async function up(_input: UpInput, _context: RunContext): Promise<UpResult> {
  throw new Error('to be written');
}

/** `--dry-run`: what `up` would do. Costs nothing and changes nothing. */
export async function planUp(_input: UpInput, _context: RunContext): Promise<UpPlan> {
  throw new Error('to be written');
}
