/** What is asked of `up`. */
import type { ResourceNeed } from '../core/offer.ts';

export interface UpInput {
  readonly name: string;
  /** Tried in order. */
  readonly providers: readonly string[];
  readonly need: ResourceNeed;
  readonly template: string | null;
  readonly maxTimeSeconds: number;
  readonly idleSeconds: number | null;
  readonly budgetUsd: number | null;
  /** Rented by `train` for one job: it goes down with the job. */
  readonly forOneJob: boolean;
}
