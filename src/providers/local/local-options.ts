import type { Clock } from '../../core/clock.ts';

export interface LocalProviderOptions {
  /** The folder that holds one folder a machine; made when it's needed. */
  readonly home: string;
  /** Absolute path of the script that is a machine's process. */
  readonly machineProcess: string;
  /** The Node that runs it. */
  readonly node: string;
  /** What jobs inherit; stored in the machine's folder, so never with a secret. */
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
}
