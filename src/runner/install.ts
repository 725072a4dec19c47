/** Brings the runner to a machine and finds a Node to start it with. May import core, protocol and the transport interface. */
import type { Transport } from '../transport/transport.ts';

/** The runner's file on this computer. */
export interface RunnerPackage {
  /** Absolute path of the bundled `runner.mjs`. */
  readonly file: string;
  /** `<gpu-run version>-<first 16 hex digits of the file's SHA-256>`: names its folder on the machine. */
  readonly version: string;
  /** Where fetched Node archives are kept on this computer. */
  readonly cache: string;
}

export interface InstalledRunner {
  /** argv prefix that starts the runner: `[node, runner.mjs]`, absolute paths. */
  readonly argv: readonly string[];
  /** Absolute path of this machine's folder on it. */
  readonly root: string;
}

export async function installRunner(_transport: Transport, _runner: RunnerPackage, _machineId: string): Promise<InstalledRunner> {
  throw new Error('to be written');
}
