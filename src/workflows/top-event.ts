/** What `top` sees, in order. */
import type { JobRecord, JobSummary, LogStream, TelemetrySample } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { BudgetUse } from './budget-warnings.ts';

export type LinkState = 'connecting' | 'connected' | 'reconnecting';

export type TopEvent =
  | { readonly type: 'link'; readonly at: number; readonly state: LinkState; readonly text: string }
  | { readonly type: 'machine'; readonly at: number; readonly machine: MachineEntry; readonly spentUsd: number; readonly budget: BudgetUse | null }
  | { readonly type: 'sample'; readonly sample: TelemetrySample }
  | { readonly type: 'jobs'; readonly jobs: readonly JobSummary[] }
  /** From here on records and log are this job's; null: there is none. */
  | { readonly type: 'job'; readonly id: string | null }
  | { readonly type: 'record'; readonly record: JobRecord }
  | { readonly type: 'log'; readonly stream: LogStream; readonly offset: number; readonly bytes: Uint8Array };

/** Awaited where events come in numbers: a slow reader slows the stream down. */
export type OnTopEvent = (event: TopEvent) => void | Promise<void>;
