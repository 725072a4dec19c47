/** What every workflow is given beside its input. Workflows never print, exit, or read process.env. */

import type { HomePaths } from '../config/home.ts';
import type { MlflowTarget } from '../config/mlflow.ts';
import type { Clock } from '../core/clock.ts';
import type { ProcessIdentity } from '../core/process-identity.ts';
import type { Reporter } from '../core/reporter.ts';
import type { Ledger, MachineEntry } from '../ledger/ledger.ts';
import type { ProviderRegistry } from '../providers/registry.ts';
import type { RunnerPackage } from '../runner/install.ts';
import type { Connector } from '../transport/connector.ts';
import type { Transport } from '../transport/transport.ts';

export interface RunContext {
  readonly providers: ProviderRegistry;
  readonly ledger: Ledger;
  /** A transport to a machine; not connected yet. The caller closes it. */
  connect(machine: Pick<MachineEntry, 'id' | 'name' | 'provider' | 'access'>): Transport;
  /** Absent: there are none, and every command connects by itself. */
  readonly links?: Links;
  readonly runner: RunnerPackage;
  /** The words that start this gpu-run from anywhere, absolute: for programs that call it back. */
  readonly program: readonly string[];
  readonly reporter: Reporter;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly home: HomePaths;
  /** This process, as holder of what it changes. */
  readonly self: ProcessIdentity;
  /** Label value and user name that our machines carry. */
  readonly owner: string;
  /** Label value of this state folder: machines that carry it were made from here. Absent: they carry none. */
  readonly homeLabel?: string;
  readonly user: string;
  readonly branch: string | null;
  /** The project's commit; absent or null: none is known. */
  readonly commit?: string | null;
  /** Where the metrics of followed jobs go as well; absent or null: nowhere. */
  readonly mlflow?: MlflowTarget | null;
}

/** What a link is made of. */
export interface Links {
  /** Past any link. The caller closes the connector; the transport is another way to use it. */
  readonly open: (machine: MachineEntry) => Promise<{ readonly connector: Connector; readonly transport: Transport }>;
}

/** The same, for what has to be done to its end, whoever interrupts. */
export function uninterrupted(context: RunContext): RunContext {
  return { ...context, signal: new AbortController().signal };
}
