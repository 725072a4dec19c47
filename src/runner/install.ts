/** Brings the runner to a machine and finds a Node to start it with. May import core, protocol and the transport interface. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import type { Transport } from '../transport/transport.ts';
import { deliverNative } from './native-delivery.ts';
import { deliverNode, type NodeSources } from './node-delivery.ts';
import type { OnDelivery } from './node-send.ts';
import { probeMachine } from './probe.ts';

/** The runner's file on this computer. */
export interface RunnerPackage extends NodeSources {
  /** Absolute path of the bundled `runner.mjs`. */
  readonly file: string;
  /** `<gpu-run version>-<first 16 hex digits of the file's SHA-256>`: names its folder on the machine. */
  readonly version: string;
}

export interface InstalledRunner {
  /** argv prefix that starts the runner: `[node, runner.mjs]`, absolute paths. */
  readonly argv: readonly string[];
  /** Absolute path of this machine's folder on it. */
  readonly root: string;
}

export interface InstallOptions {
  readonly signal?: AbortSignal;
  /** While a Node is brought to the machine: bytes so far and in all. */
  readonly onProgress?: OnDelivery;
}

/**
 * Looks first, sends only what is missing: when all is there this is one round trip. What a crash left half-sent is never used.
 * @throws GpuRunError `unfit` when no Node can run there, `not-allowed`, `disk-full`, and what the transport says
 */
export async function installRunner(transport: Transport, runner: RunnerPackage, machineId: string, options: InstallOptions = {}): Promise<InstalledRunner> {
  const { signal = new AbortController().signal, onProgress = () => {} } = options;
  if (!/^[a-z0-9][a-z0-9-]*$/.test(machineId)) throw new GpuRunError('internal', `'${machineId}' can't be a machine's id.`);
  const content = await readRunner(runner);
  const probe = await probeMachine(transport, runner.version, signal);
  const file = `${probe.home}/.gpu-run/runner/${runner.version}/runner.mjs`;
  if (probe.runnerHash !== createHash('sha256').update(content).digest('hex')) await transport.copyTo(content, file, { mode: 0o600, signal });
  const [node] = await Promise.all([
    probe.node ?? deliverNode(transport, probe, runner, onProgress, signal),
    deliverNative(transport, probe, runner, signal), // never rejects
  ]);
  return { argv: [node, file], root: `${probe.home}/.gpu-run/machines/${machineId}` };
}

async function readRunner({ file }: RunnerPackage): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    throw new GpuRunError('internal', `The runner's file ${file} is missing: this gpu-run was not built.`, { cause: error, hints: ['npm run build'] });
  }
}
