/** What is asked of `up`. */
import type { Offer, ResourceNeed } from '../core/offer.ts';
import { affordableMs } from './budget-deadline.ts';

export interface UpInput {
  readonly name: string;
  /** Tried in order. */
  readonly providers: readonly string[];
  /** Nobody has named a provider: a machine that is up is used wherever it is. */
  readonly anyProvider?: boolean;
  readonly need: ResourceNeed;
  readonly template: string | null;
  readonly maxTimeSeconds: number;
  /** The end of the whole run, milliseconds since the epoch: no machine of it lasts longer. Absent: none is set. */
  readonly notAfter?: number;
  readonly idleSeconds: number | null;
  /** US dollars for the whole run: what earlier attempts have cost is part of it. */
  readonly budgetUsd: number | null;
  /** Seconds in which a job may write nothing while no GPU works; null: for ever. Absent: as long as is usual. */
  readonly stallSeconds?: number | null;
  /** A machine that nothing would end if nobody came back is taken all the same. */
  readonly unprotected?: boolean;
  /** Rented by `train` for one job: it goes down with the job. */
  readonly forOneJob: boolean;
}

/** What is left of the budget buys time at the offer's price; the deadline is the earlier of that and the time limit. Milliseconds since the epoch. */
export function deadlineFor(input: UpInput, offer: Offer, now: number, spentBeforeUsd = 0): number {
  const { maxTimeSeconds, budgetUsd, notAfter = Number.POSITIVE_INFINITY } = input;
  return Math.floor(Math.min(notAfter, now + Math.min(maxTimeSeconds * 1000, affordableMs({ budgetUsd, spentBeforeUsd }, offer))));
}

/** `1 x L4 (spot) in us-central1`. */
export function describeNeed(need: ResourceNeed): string {
  const gpu = need.gpu === undefined ? 'any GPU or none' : `${need.gpu.count} x ${need.gpu.name}`;
  return `${need.nodes > 1 ? `${need.nodes} machines with ` : ''}${gpu}${need.spot ? ' (spot)' : ''}${need.regions.length > 0 ? ` in ${need.regions.join(', ')}` : ''}`;
}
