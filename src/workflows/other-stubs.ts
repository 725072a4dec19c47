/** Signatures that the command line is written against; each gets a file of its own. */
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { SyncSettings } from '../config/settings.ts';
import type { LocalTerminal, ExitStatus, Forward } from '../transport/transport.ts';
import type { RunContext } from './context.ts';
import type { CostItem, PulledFile, SyncTotals } from './train.ts';

// workflows/status.ts
export interface StatusInput { readonly refresh: boolean; /** Machines that are gone, and ended jobs, too. */ readonly all: boolean }
export interface MachineView extends MachineEntry { readonly costUsd: number }
export interface StatusResult { readonly machines: readonly MachineView[]; readonly jobs: readonly JobEntry[] }
export declare function status(input: StatusInput, context: RunContext): Promise<StatusResult>;

// workflows/down.ts
export interface DownInput { /** Empty with all: every live machine. */ readonly names: readonly string[]; readonly all: boolean }
export interface DownResult {
  readonly machines: readonly { readonly name: string; readonly id: string; readonly state: 'gone' | 'ending'; readonly costUsd: number }[];
  /** What may still bill, with the command that ends it: exit code 90 when not empty. */
  readonly leftovers: readonly string[];
}
export declare function down(input: DownInput, context: RunContext): Promise<DownResult>;

// workflows/cancel.ts; jobId null: the newest unfinished job of the named machine
export declare function cancel(input: { readonly jobId: string; readonly graceMs: number | null }, context: RunContext): Promise<JobEntry>;

// workflows/find.ts: by id, or the newest (unfinished first) of a machine; refreshes nothing. Throws not-found.
export declare function findJob(input: { readonly jobId: string | null; readonly machineName: string }, context: RunContext): JobEntry;
export declare function findMachine(name: string, context: RunContext): MachineEntry;

// workflows/shell.ts
export declare function shell(input: { readonly name: string; readonly argv: readonly string[] | null; readonly terminal: LocalTerminal | null; readonly stdin: NodeJS.ReadableStream; readonly stdout: NodeJS.WritableStream; readonly stderr: NodeJS.WritableStream }, context: RunContext): Promise<ExitStatus>;

// workflows/push.ts and pull.ts
export declare function push(input: { readonly name: string; readonly sync: SyncSettings; readonly outputs: readonly string[] }, context: RunContext): Promise<SyncTotals>;
export declare function pull(input: { readonly name: string; /** Relative to the workdir; empty: the outputs of the config. */ readonly paths: readonly string[]; readonly into: string }, context: RunContext): Promise<readonly PulledFile[]>;

// workflows/forward.ts: runs until the signal aborts; onReady is told the ports
export declare function forward(input: { readonly name: string; readonly ports: readonly { readonly local: number; readonly host: string; readonly remote: number }[] }, context: RunContext, onReady: (forwards: readonly Forward[]) => void): Promise<void>;

// workflows/report-cost.ts
export interface CostResult { readonly totalUsd: number; readonly items: readonly (CostItem & { readonly key: string; readonly seconds: number })[] }
export declare function reportCost(input: { readonly by: 'machine' | 'job' | 'template' | 'user' | 'branch' | 'day'; /** Milliseconds since the epoch. */ readonly since: number | null }, context: RunContext): CostResult;

// workflows/reap.ts
export interface Reaped { readonly provider: string; readonly id: string; readonly name: string; readonly why: string }
export interface ReapResult { readonly found: readonly Reaped[]; readonly ended: readonly Reaped[]; readonly kept: readonly Reaped[]; readonly unreachable: readonly { readonly provider: string; readonly message: string }[]; readonly leftovers: readonly string[] }
export declare function reap(input: { readonly dryRun: boolean }, context: RunContext): Promise<ReapResult>;

// workflows/doctor.ts
export interface Check { readonly name: string; readonly outcome: 'ok' | 'warn' | 'fail'; readonly text: string; readonly hints: readonly string[] }
export declare function doctor(input: { readonly providers: readonly string[] }, context: RunContext): Promise<readonly Check[]>;
