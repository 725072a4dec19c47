/** What a provider has that carries our label, whether the ledger knows it or not. */
import { type GpuRunError, toGpuRunError } from '../core/errors.ts';
import { labelKeys, type MachineRef } from '../core/machine.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { Provider } from '../providers/provider.ts';
import type { RunContext } from './context.ts';

/** What the config says of the providers. */
export type ProviderOptions = Readonly<Record<string, unknown>>;

export interface Ours {
  readonly machines: readonly MachineRef[];
  /** Disks and rules that machines have left behind. */
  readonly leftovers: readonly MachineRef[];
  /** Not all of it could be asked for; null: this is everything. */
  readonly failure: GpuRunError | null;
}

/** @throws GpuRunError `bad-input` for options that the provider does not take. Under our owner now, and under those that machines of this ledger were made with: the label may be another one since. */
export async function listOurs(provider: Provider, options: ProviderOptions, context: RunContext): Promise<Ours> {
  provider.alsoListIn?.(options);
  const owners = new Set([context.owner, ...context.ledger.list({ live: true }).map(({ owner }) => owner)]);
  const found = new Map<string, MachineRef>();
  let failure: GpuRunError | null = null;
  for (const owner of owners) {
    try {
      for await (const ref of provider.list(owner, context.signal)) found.set(JSON.stringify([ref.id, ref.leftover, provider.placeOf?.(ref)]), ref);
    } catch (error) {
      context.signal.throwIfAborted();
      failure ??= toGpuRunError(error);
    }
  }
  const all = [...found.values()];
  return {
    machines: all.filter(({ leftover }) => leftover === undefined),
    leftovers: all.filter(({ leftover }) => leftover !== undefined),
    failure,
  };
}

/** Whether it is the one that the ledger means: a start that was given up in one zone may have left another one of the same id. */
export function isEntrys(ref: MachineRef, entry: Pick<MachineEntry, 'id' | 'ref'>, provider: Provider): boolean {
  if (ref.id !== entry.id) return false;
  const [here = null, known = null] = [provider.placeOf?.(ref), entry.ref === null ? null : provider.placeOf?.(entry.ref)];
  return here === null || known === null || here === known;
}

/** As its label says, milliseconds since the epoch; null: it says nothing that is a time. */
export function labelledDeadline({ labels }: MachineRef): number | null {
  const text = labels[labelKeys.expires] ?? '';
  return /^\d{1,11}$/.test(text) ? Number(text) * 1000 : null;
}

/** Somebody has copied our label to a machine that we did not make. */
export function isCopied({ id, labels }: MachineRef): boolean {
  return labels[labelKeys.machine] !== id;
}
