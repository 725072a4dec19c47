/**
 * What we believe exists and what it cost. Interface only; may import core. Used by many processes at once.
 * A write has reached the disk when its promise-free call returns: `open` comes before the cloud call.
 * `test/contract/ledger.ts` holds the implementation to what stands here.
 */
import type { BilledLife, BillingRule } from '../core/billing.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { Access, Labels, MachineRef } from '../core/machine.ts';
import type { Price } from '../core/money.ts';
import type { Offer } from '../core/offer.ts';
import type { ProcessIdentity } from '../core/process-identity.ts';

export type MachineEntryState =
  | 'intent' // written down; launch may or may not have been called
  | 'launched' // the provider has it, it is not ready yet
  | 'ready'
  | 'ending' // terminate was called, or is about to be
  | 'gone'; // the provider says that it does not exist any more

/** What is decided before anything is ordered. */
export interface MachineIntent {
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  readonly owner: string;
  readonly labels: Labels;
  readonly requestId: string;
  readonly offer: Offer;
  readonly template: string | null;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly idleSeconds: number | null;
  /** What the whole run may cost, US dollars: this machine and those before it. */
  readonly budgetUsd: number | null;
  /** What the machines before it have cost that were ordered for the same run, US dollars. Absent: nothing. */
  readonly spentBeforeUsd?: number;
  /** Seconds in which a job may be still; null: for ever. Absent: as long as is usual. */
  readonly stallSeconds?: number | null;
  /** True when `train` rented it for one job: it goes down with the job. */
  readonly forOneJob: boolean;
  /** `train` rented it, and since then somebody has asked for it to stay. */
  readonly kept?: true;
  /** Who asked: for `cost --by user|branch|commit`. */
  readonly user: string;
  readonly branch: string | null;
  /** The project's commit, 40 or 64 hex digits; absent or null: none is known. */
  readonly commit?: string | null;
  /** How its provider counts time. Kept with the price, so that what is booked never changes afterwards. Absent: to the millisecond. */
  readonly billing?: BillingRule;
  /** Where the machine is to be found once it exists, if that is known beforehand: it is looked for there, whatever becomes of the order. */
  readonly ref?: MachineRef | null;
  /** Set: it was not ordered by this ledger's own gpu-run, but found at its provider by its label. */
  readonly adopted?: Adoption;
  /** The process that is launching it: when that has died, anybody may take over. */
  readonly holder: ProcessIdentity;
}

export interface Adoption {
  /** Label of the state folder that it was made from; null: it carries none. */
  readonly home: string | null;
  /** When it was made, as far as that is known, milliseconds since the epoch: it is booked from then on. */
  readonly madeAt: number;
}

/** A machine that was found again. It is as good as ready: whoever made it may be using it. */
export interface FoundMachine extends Omit<MachineIntent, 'holder' | 'ref'> {
  readonly adopted: Adoption;
  readonly ref: MachineRef;
  /** null: its provider does not say now. */
  readonly access: Access | null;
}

/** What the watchdog on a machine was set to do at its deadline. */
export interface ArmedWatchdog {
  readonly endsJobs: boolean;
  /** The machine switches itself off. */
  readonly powersOff: boolean;
  /** Why not all of it could be had, in words without a full stop; null: it could. */
  readonly problem: string | null;
}

export interface MachineEntry extends Omit<MachineIntent, 'holder' | 'ref'> {
  readonly state: MachineEntryState;
  readonly ref: MachineRef | null;
  readonly access: Access | null;
  /** Milliseconds since the epoch. `billedSpan` (core/billing) says which of this time is billed. */
  readonly createdAt: number;
  /** When we knew that it exists. Absent: we never did, or it was before this was written down. */
  readonly launchedAt?: number;
  readonly readyAt: number | null;
  /** When it began to run, after it had waited in a queue of its provider. Absent: it did not wait, or waits. */
  readonly begunAt?: number;
  readonly endedAt: number | null;
  readonly endReason: string | null;
  /** When a provider last confirmed what stands here. */
  readonly asOf: number;
  readonly leftovers: readonly string[];
  /** Bytes that were fetched from it, by the id of the job that they belong to ('': to none). Absent: none, as far as is known. */
  readonly pulled?: Readonly<Record<string, number>>;
  /** The order was refused, and this is why: there never was such a machine, and nothing was billed. */
  readonly neverMade?: ErrorCode;
  /** Absent: none was armed. */
  readonly watchdog?: ArmedWatchdog;
  /** Who is changing it now; null: nobody. */
  readonly holder: ProcessIdentity | null;
}

export type MachineFact =
  | { readonly fact: 'launched'; readonly ref: MachineRef }
  | { readonly fact: 'ready'; readonly access: Access }
  | { readonly fact: 'seen'; readonly access?: Access }
  /** It has waited in a queue of its provider until `at`, which costs nothing. */
  | { readonly fact: 'begun'; readonly at: number }
  | { readonly fact: 'ending'; readonly reason: string }
  /** `at`: when it ended, where that is known better than now. */
  | { readonly fact: 'gone'; readonly reason: string; readonly at?: number; readonly leftovers: readonly string[] }
  /** The order was refused, and the provider is certain that nothing of it exists. */
  | { readonly fact: 'never-made'; readonly code: ErrorCode; readonly reason: string }
  | { readonly fact: 'deadline'; readonly deadline: number }
  | { readonly fact: 'armed'; readonly watchdog: ArmedWatchdog }
  /** `bytes` more were fetched from it. `job`: whose they are; null: nobody's. */
  | { readonly fact: 'pulled'; readonly bytes: number; readonly job: string | null }
  | { readonly fact: 'kept' };

export interface MachineFilter {
  readonly name?: string;
  /** true: all that are not gone. */
  readonly live?: boolean;
  /** Only those that were ordered at this time or later, milliseconds since the epoch. */
  readonly since?: number;
  /** true: no orders that were refused. */
  readonly made?: boolean;
  /** Newest first, at most so many. */
  readonly limit?: number;
}

export interface JobFilter {
  readonly machineId?: string;
  readonly machineName?: string;
  /** Newest first, at most so many. */
  readonly limit?: number;
}

/** What `cost` needs of a machine. Orders that were refused are none. */
export interface MachineBill extends BilledLife {
  readonly id: string;
  readonly name: string;
  readonly state: MachineEntryState;
  readonly provider: string;
  readonly type: string;
  readonly zone: string | null;
  readonly spot: boolean;
  readonly template: string | null;
  readonly user: string;
  readonly branch: string | null;
  readonly commit: string | null;
  readonly readyAt: number | null;
  /** As it stood in the offer that was taken. */
  readonly price: Price;
  /** Where the price came from, in words, and when it was true there. */
  readonly priceSource: string;
  readonly priceAsOf: number;
  /** null: what leaves the provider's network costs nothing. */
  readonly egress: MachineEgress | null;
}

/** Of a machine whose provider takes money for what leaves its network. */
export interface MachineEgress {
  /** USD per 10^9 bytes, as it stood in the offer that was taken. */
  readonly perGb: number;
  /** Bytes by job, as in the entry. */
  readonly pulled: Readonly<Record<string, number>>;
}

/** What `cost` needs of a job that has started: one for each of its attempts. */
export interface JobSpan {
  readonly id: string;
  readonly machineId: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly user: string;
  readonly branch: string | null;
  readonly commit: string | null;
  /** Of the machine's GPUs, more than 0 and up to 1. */
  readonly share: number;
}

/** Milliseconds since the epoch; those that were over long before `since`, or were ordered at `until` or later, are left out. */
export interface BillFilter {
  readonly since?: number;
  readonly until?: number;
}

export interface Ledger {
  /** Writes an intent, unless a machine of that name lives: then that one comes back with `opened: false`. Atomic between processes. */
  open(intent: MachineIntent): { readonly opened: boolean; readonly entry: MachineEntry };
  /** Writes down a machine that was found, at once as ready, unless its id is known or a machine of that name lives: then that one comes back. */
  adopt(found: FoundMachine): { readonly adopted: boolean; readonly entry: MachineEntry };
  /** Adds a fact and its consequences. Facts for a machine that is gone change nothing but leftovers and what was fetched from it. @throws GpuRunError not-found */
  note(id: string, fact: MachineFact): MachineEntry;
  get(id: string): MachineEntry | null;
  /** Newest first. */
  list(filter?: MachineFilter): MachineEntry[];

  /** Makes `holder` the one who changes this machine, if nobody is or the present holder is dead. False: somebody else lives and holds it. */
  claim(id: string, holder: ProcessIdentity): boolean;
  release(id: string, holder: ProcessIdentity): void;

  /** Inserts or replaces what is known of a job. */
  putJob(job: JobEntry): void;
  /**
   * The same by what is known, which no other process changes meanwhile. `change` must leave the ledger alone; what it returns is of this id, null: it
   * stays as it is. Returns what is known then.
   */
  changeJob(id: string, change: (known: JobEntry | null) => JobEntry | null): JobEntry | null;
  getJob(id: string): JobEntry | null;
  /** Newest first. */
  listJobs(filter?: JobFilter): JobEntry[];

  /** Oldest first. Fast however much the ledger holds: no entry is read whole. */
  bills(filter?: BillFilter): MachineBill[];
  /** By machine, each one's in the order of their starts. */
  jobSpans(filter?: BillFilter): JobSpan[];

  close(): void;
}
