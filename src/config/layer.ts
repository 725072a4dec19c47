/** One source of settings: flags, environment, config or template. Each says some things and leaves out others. */
import type { GpuNeed } from '../core/offer.ts';
import type { JobCommand } from '../protocol/job.ts';
import type { MlflowSettings } from './mlflow.ts';
import type { Settings, SyncSettings } from './settings.ts';

export interface Layer {
  readonly name?: string;
  readonly providers?: readonly string[];
  readonly template?: string;
  readonly gpu?: GpuNeed;
  readonly spot?: boolean;
  readonly publicIp?: boolean;
  readonly regions?: readonly string[];
  readonly diskBytes?: number;
  readonly nodes?: number;
  readonly setup?: string;
  readonly train?: JobCommand;
  readonly maxTimeSeconds?: number;
  readonly budgetUsd?: number;
  /** null: no idle limit. */
  readonly idleSeconds?: number | null;
  /** null: a job may be still for ever. */
  readonly stallSeconds?: number | null;
  readonly env?: Readonly<Record<string, string>>;
  readonly secrets?: readonly string[];
  readonly sync?: Partial<SyncSettings>;
  readonly outputs?: readonly string[];
  readonly metrics?: Readonly<Record<string, string>>;
  readonly mlflow?: MlflowSettings;
  readonly splitLog?: boolean;
  readonly logLimitBytes?: number;
  readonly preemptSignal?: Settings['preemptSignal'];
  readonly retry?: Settings['retry'];
  /** Provider -> its block. */
  readonly options?: ProviderOptions;
}

export type ProviderOptions = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What the first layer that says anything about `key` says; null (for `idleSeconds`) is something. */
export function firstOf<Key extends keyof Layer>(layers: readonly Layer[], key: Key): Layer[Key] | undefined {
  return layers.find((layer) => layer[key] !== undefined)?.[key];
}
