/** Machines that carry our label and are not in the ledger are written down: what a lost ledger, or another computer, knew. */
import { billingOf } from '../core/billing.ts';
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import { labelKeys, type MachineRef, type MachineStatus } from '../core/machine.ts';
import type { Offer } from '../core/offer.ts';
import { checkMachineName } from '../core/run-id.ts';
import type { FoundMachine, MachineEntry } from '../ledger/ledger.ts';
import type { Provider } from '../providers/provider.ts';
import type { RunContext } from './context.ts';
import { isCopied, labelledDeadline, listOurs, type ProviderOptions } from './list-ours.ts';

export interface Unreachable {
  readonly provider: string;
  readonly failure: GpuRunError;
}

/** Every provider is asked. Returns those of which not everything could be seen. @throws only when interrupted */
export async function adoptFound(options: ProviderOptions, context: RunContext): Promise<readonly Unreachable[]> {
  const failures = await Promise.all(context.providers.ids.map((id) => adoptAt(id, options, context)));
  context.signal.throwIfAborted();
  return failures.flat();
}

async function adoptAt(id: string, options: ProviderOptions, context: RunContext): Promise<readonly Unreachable[]> {
  const failed = (failure: GpuRunError): Unreachable => {
    context.reporter.report({ type: 'note', level: 'warn', text: `${id} did not show everything: ${failure.message}` });
    return { provider: id, failure };
  };
  try {
    const provider = await context.providers.get(id);
    const { machines, leftovers, failure } = await listOurs(provider, options, context);
    const known = new Map(machines.map((ref) => [ref, context.ledger.get(ref.id)] as const));
    for (const [ref, entry] of known) takeOverDeadline(ref, entry, context);
    const unknown = machines.filter((ref) => !isLive(known.get(ref) ?? null));
    const looks = await Promise.allSettled(unknown.map((ref) => adopt(ref, provider, context)));
    const said = looks.flatMap((look) => (look.status === 'fulfilled' && look.value !== null ? [look.value] : []));
    const failures = looks.flatMap((look, index) => (look.status === 'rejected' ? [unseen(unknown[index] as MachineRef, look.reason)] : []));
    const left = [...said, ...leftovers.map((ref) => `${ref.leftover}, of '${ref.name}', is left`)];
    for (const text of left) context.reporter.report({ type: 'note', level: 'warn', text: `${text} (${id}); gpu-run reap ends it` });
    return [...(failure === null ? [] : [failure]), ...failures].map(failed);
  } catch (error) {
    return [failed(toGpuRunError(error))];
  }
}

function unseen(ref: MachineRef, cause: unknown): GpuRunError {
  const { code, message, hints } = toGpuRunError(cause);
  return new GpuRunError(code, `'${ref.id}' could not be looked at: ${message}`, { hints, cause });
}

function isLive(entry: MachineEntry | null): entry is MachineEntry {
  return entry !== null && entry.state !== 'gone';
}

/** It may have been moved from another computer. */
function takeOverDeadline(ref: MachineRef, entry: MachineEntry | null, { ledger }: RunContext): void {
  const deadline = labelledDeadline(ref);
  if (isLive(entry) && deadline !== null && deadline > entry.deadline) ledger.note(ref.id, { fact: 'deadline', deadline });
}

/** Writes one down that the ledger doesn't know. Returns what the user should know of one that was not adopted. */
export async function adopt(ref: MachineRef, provider: Provider, context: RunContext): Promise<string | null> {
  if (isCopied(ref)) return null;
  const status = await provider.describe(ref, context.signal);
  if (status.state === 'gone') return null;
  if (status.state === 'ending') return `'${ref.id}' has stopped, and may bill for its disk`;
  if (context.ledger.get(ref.id) !== null) return `'${ref.id}' is there, though it was noted as gone`;
  const found = await foundMachine(ref, status, provider, context);
  const first = context.ledger.adopt(found);
  // Two of one name, made from two computers.
  const { adopted, entry } = first.adopted || first.entry.id === ref.id ? first : context.ledger.adopt({ ...found, name: ref.id });
  if (adopted) context.reporter.report({ type: 'note', level: 'info', text: `Found '${entry.name}' again by its label (${provider.id} ${entry.id})` });
  return null;
}

async function foundMachine(ref: MachineRef, status: MachineStatus, provider: Provider, context: RunContext): Promise<FoundMachine> {
  const { labels } = ref;
  const now = context.clock.now();
  const owner = labels[labelKeys.owner] ?? context.owner;
  return {
    id: ref.id,
    name: isName(ref.name) ? ref.name : ref.id,
    provider: provider.id,
    owner,
    labels,
    requestId: '',
    offer: (await provider.appraise?.(ref, context.signal)) ?? unknownOffer(provider.id, now),
    template: null,
    deadline: labelledDeadline(ref) ?? status.deadline ?? now,
    idleSeconds: null,
    budgetUsd: null,
    forOneJob: false,
    user: owner,
    branch: null,
    billing: billingOf(provider.traits),
    ref,
    access: status.access,
    adopted: { home: labels[labelKeys.home] ?? null, madeAt: ref.createdAt ?? now },
  };
}

function unknownOffer(provider: string, asOf: number): Offer {
  const price = { perHour: 0, currency: 'USD' } as const;
  return { provider, region: null, zone: null, type: 'not known', gpu: null, spot: false, price, asOf, source: 'not known', available: null };
}

/** Labels are what anybody with rights in the project may write. */
function isName(name: string): boolean {
  try {
    return checkMachineName(name) === name;
  } catch {
    return false;
  }
}
