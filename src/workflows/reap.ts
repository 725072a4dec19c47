/** `reap`: finds everything with our label at every provider, and ends what is past its deadline or unknown. */

import { type ErrorCode, toGpuRunError } from '../core/errors.ts';
import { labelKeys, type MachineRef } from '../core/machine.ts';
import { isAlive } from '../core/process-identity.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { Provider } from '../providers/provider.ts';
import type { RunContext } from './context.ts';
import { endClaimed } from './down.ts';
import { isAbandoned } from './recover.ts';
import { forgetKeys, forgetKeysOfGone, terminateAndWait } from './settle-gone.ts';

export interface Reaped {
  readonly provider: string;
  readonly id: string;
  readonly name: string;
  /** Why it was ended or kept, in words. */
  readonly why: string;
}

export interface ReapResult {
  readonly found: readonly Reaped[];
  readonly ended: readonly Reaped[];
  readonly kept: readonly Reaped[];
  readonly unreachable: readonly { readonly provider: string; readonly code: ErrorCode; readonly message: string }[];
  /** What may still bill, with the command that ends it. */
  readonly leftovers: readonly string[];
}

interface Verdict {
  readonly end: boolean;
  readonly why: string;
}

/** A provider that can't be asked is reported and does not keep the others from being reaped. */
export async function reap(input: { readonly dryRun: boolean }, context: RunContext): Promise<ReapResult> {
  const result = {
    found: [] as Reaped[],
    ended: [] as Reaped[],
    kept: [] as Reaped[],
    unreachable: [] as { provider: string; code: ErrorCode; message: string }[],
    leftovers: [] as string[],
  };
  if (!input.dryRun) forgetKeysOfGone(context);
  for (const id of context.providers.ids) {
    try {
      await reapProvider(await context.providers.get(id), input.dryRun, result, context);
    } catch (error) {
      const { code, message } = toGpuRunError(error);
      result.unreachable.push({ provider: id, code, message });
    }
  }
  return result;
}

type Sorted = Pick<
  { -readonly [Key in keyof ReapResult]: ReapResult[Key] extends readonly (infer Item)[] ? Item[] : never },
  'found' | 'ended' | 'kept' | 'leftovers'
>;

async function reapProvider(provider: Provider, dryRun: boolean, result: Sorted, context: RunContext): Promise<void> {
  const seen = new Set<string>();
  for (const owner of ownersOf(context)) {
    for await (const ref of provider.list(owner, context.signal)) {
      if (seen.has(ref.id)) continue;
      seen.add(ref.id);
      const entry = context.ledger.get(ref.id);
      const verdict = judge(ref, entry, context);
      const reaped: Reaped = { provider: provider.id, id: ref.id, name: ref.name, why: verdict.why };
      result.found.push(reaped);
      if (!verdict.end) result.kept.push(reaped);
      else await endOrSay(reaped, dryRun, result, () => end(ref, entry, provider, verdict.why, context));
    }
  }
  for (const entry of context.ledger.list({ live: true })) {
    if (entry.provider === provider.id && !seen.has(entry.id)) await settleUnlisted(entry, provider, dryRun, result, context);
  }
}

/** Ours now, and those under which machines of this ledger were made: the label may have been made anew since. */
function ownersOf(context: RunContext): ReadonlySet<string> {
  return new Set([context.owner, ...context.ledger.list({ live: true }).map(({ owner }) => owner)]);
}

/** One machine that can't be ended must not keep the others alive. */
async function endOrSay(reaped: Reaped, dryRun: boolean, result: Sorted, work: () => Promise<readonly string[]>): Promise<void> {
  try {
    if (!dryRun) result.leftovers.push(...(await work()));
    result.ended.push(reaped);
  } catch (error) {
    const failure = toGpuRunError(error);
    if (failure.code === 'conflict') result.kept.push({ ...reaped, why: failure.message });
    else result.leftovers.push([failure.message, ...failure.hints].join(' '));
  }
}

function judge(ref: MachineRef, entry: MachineEntry | null, context: RunContext): Verdict {
  const expires = Number(ref.labels[labelKeys.expires]) * 1000;
  const deadline = entry?.deadline ?? expires;
  if (deadline < context.clock.now()) return { end: true, why: 'past its deadline' };
  if (entry === null) return { end: true, why: 'not in the ledger of this computer' };
  if (entry.state === 'gone') return { end: true, why: 'the ledger says that it is gone' };
  if (isAbandoned(entry)) return { end: true, why: 'the gpu-run that was starting or ending it died' };
  return { end: false, why: entry.state === 'ready' ? 'up' : `${entry.state}, process ${entry.holder?.pid} is at it` };
}

async function end(ref: MachineRef, entry: MachineEntry | null, provider: Provider, why: string, context: RunContext): Promise<readonly string[]> {
  if (entry !== null && entry.state !== 'gone') return (await endClaimed(entry, `reap: ${why}`, context)).leftovers;
  const leftovers = await terminateAndWait(ref, provider, context);
  if (entry !== null) forgetKeys(entry, context);
  return leftovers;
}

/** In the ledger, but not listed by its provider: gone, unless it is just being made, the user's own host, or there when asked for by itself. */
async function settleUnlisted(entry: MachineEntry, provider: Provider, dryRun: boolean, result: Sorted, context: RunContext): Promise<void> {
  const late = entry.deadline < context.clock.now();
  const keep = (why: string) => void result.kept.push({ provider: provider.id, id: entry.id, name: entry.name, why });
  if (entry.holder !== null && isAlive(entry.holder)) return keep(`${entry.state}, process ${entry.holder.pid} is at it`);
  if (!late && !isAbandoned(entry)) {
    if (provider.traits.borrowed) return keep('your own host');
    if (entry.ref !== null && (await provider.describe(entry.ref, context.signal)).state !== 'gone') return keep('up, though its provider does not list it');
  }
  const why = late ? 'past its deadline' : 'the provider does not list it any more';
  const reaped: Reaped = { provider: provider.id, id: entry.id, name: entry.name, why };
  await endOrSay(reaped, dryRun, result, async () => (await endClaimed(entry, `reap: ${why}`, context)).leftovers);
}
