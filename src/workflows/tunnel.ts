/** Bytes to a machine that has no address of its own: the provider carries them. Used by every connection there, and by plain `ssh` through `gpu-run tunnel`. */
import type { Duplex, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { ProviderRegistry } from '../providers/registry.ts';
import type { RunContext } from './context.ts';
import { findMachine } from './find.ts';

/** Opens a stream to the machine's SSH port; null: the machine is dialled at its address. */
export function dialThrough(
  machine: Pick<MachineEntry, 'name' | 'provider' | 'access'>,
  providers: ProviderRegistry,
): ((signal: AbortSignal) => Promise<Duplex>) | null {
  const { access } = machine;
  if (access?.kind !== 'own' || access.tunnel === undefined) return null;
  const to = access.tunnel;
  return async (signal) => {
    const { tunnel } = await providers.get(machine.provider);
    if (tunnel === undefined) throw new GpuRunError('internal', `the provider '${machine.provider}' has no tunnel, and '${machine.name}' needs one`);
    return await tunnel.open(to, signal);
  };
}

export interface TunnelInput {
  readonly name: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
}

/** Until the machine closes it, or nobody reads any more. @throws GpuRunError `usage` for a machine that needs no tunnel */
export async function tunnel({ name, stdin, stdout }: TunnelInput, context: RunContext): Promise<void> {
  const machine = findMachine(name, context);
  if (machine.access === null) throw new GpuRunError('conflict', `The machine '${name}' isn't ready yet (${machine.state}).`);
  const dial = dialThrough(machine, context.providers);
  if (dial === null) throw new GpuRunError('usage', `'${name}' has an address of its own: no tunnel leads there.`, { hints: [`gpu-run ssh ${name}`] });
  const stream = await dial(context.signal);
  try {
    pipeline(stdin, stream, { signal: context.signal }).catch(() => {}); // what comes from the machine decides
    await pipeline(stream, stdout, { end: false, signal: context.signal });
  } catch (error) {
    if (systemErrorCode(error) !== 'EPIPE' && !stdout.destroyed) throw error;
  } finally {
    stream.destroy();
  }
}
