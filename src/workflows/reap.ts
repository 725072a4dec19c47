/** `reap`: finds everything with our label at every provider, and ends what is past its deadline or belongs to nobody. */
import { type ErrorCode, toGpuRunError } from '../core/errors.ts';
import type { MachineRef } from '../core/machine.ts';
import { mayBeAlive } from '../core/process-identity.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { Provider } from '../providers/provider.ts';
import { adopt } from './adopt.ts';
import type { RunContext } from './context.ts';
import { endClaimed } from './down.ts';
import { type Judgement, judgeLeftover, judgeMachine, type ReapInput, type Verdict } from './judge.ts';
import { isEntrys, listOurs } from './list-ours.ts';
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
  /** Providers of which nothing here says where to look: they were not asked. */
  readonly notSetUp: readonly string[];
}

type Sorted = { readonly [Key in keyof ReapResult]: ReapResult[Key] extends readonly (infer Item)[] ? Item[] : never };

/** A provider that can't be asked is reported and does not keep the others from being reaped. */
export async function reap(input: ReapInput, context: RunContext): Promise<ReapResult> {
  const result: Sorted = { found: [], ended: [], kept: [], unreachable: [], leftovers: [], notSetUp: [] };
  if (!input.dryRun) forgetKeysOfGone(context);
  for (const id of context.providers.ids) {
    try {
      await reapProvider({ input, provider: await context.providers.get(id), context }, result);
    } catch (error) {
      context.signal.throwIfAborted();
      const { code, message } = toGpuRunError(error);
      result.unreachable.push({ provider: id, code, message });
    }
  }
  return result;
}

async function reapProvider(judgement: Judgement, result: Sorted): Promise<void> {
  const { input, provider, context } = judgement;
  const { machines, leftovers, failure } = await listOurs(provider, input.providerOptions ?? {}, context);
  if ((await provider.isSetUp?.()) === false) result.notSetUp.push(provider.id);
  if (failure !== null) result.unreachable.push({ provider: provider.id, code: failure.code, message: failure.message });
  await judgeAll(machines, judgement, result, judgeMachine);
  const unlisted = context.ledger
    .list({ live: true })
    .filter((entry) => entry.provider === provider.id && !machines.some((ref) => isEntrys(ref, entry, provider)));
  await sideBySide(unlisted, result, async (entry, part) => {
    try {
      await settleUnlisted(entry, failure !== null, judgement, part);
    } catch (error) {
      context.signal.throwIfAborted();
      const { code, message } = toGpuRunError(error);
      part.unreachable.push({ provider: provider.id, code, message: `'${entry.name}' (${entry.id}): ${message}` });
    }
  });
  // Last: the machine that a disk was made for has been settled by now.
  await judgeAll(leftovers, judgement, result, judgeLeftover);
}

type Judge = (ref: MachineRef, judgement: Judgement) => Promise<Verdict>;

async function judgeAll(refs: readonly MachineRef[], judgement: Judgement, result: Sorted, judge: Judge): Promise<void> {
  const { provider, context } = judgement;
  await sideBySide(refs, result, async (ref, part) => {
    let verdict: Verdict;
    try {
      verdict = await judge(ref, judgement);
    } catch (error) {
      context.signal.throwIfAborted();
      verdict = { end: false, why: `it could not be looked at: ${toGpuRunError(error).message}` };
    }
    const reaped: Reaped = { provider: provider.id, id: ref.id, name: ref.name, why: verdict.why };
    part.found.push(reaped);
    if (verdict.end) await endOrSay(reaped, ref, judgement, part, () => end(ref, provider, reaped.why, context));
    else part.kept.push(reaped);
  });
}

/** What is said keeps the order of the items. All are waited for, also when one throws: what is being ended is reported. */
async function sideBySide<T>(items: readonly T[], result: Sorted, work: (item: T, part: Sorted) => Promise<void>): Promise<void> {
  const parts = items.map((): Sorted => ({ found: [], ended: [], kept: [], unreachable: [], leftovers: [], notSetUp: [] }));
  const outcomes = await Promise.allSettled(items.map((item, index) => work(item, parts[index] as Sorted)));
  for (const part of parts) for (const key of Object.keys(part) as (keyof Sorted)[]) (result[key] as unknown[]).push(...part[key]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** One that can't be ended must not keep the others alive. */
async function endOrSay(
  reaped: Reaped,
  ref: MachineRef | null,
  { input, provider }: Judgement,
  result: Sorted,
  work: () => Promise<readonly string[]>,
): Promise<void> {
  try {
    if (!input.dryRun) result.leftovers.push(...(await work()));
    result.ended.push(reaped);
  } catch (error) {
    const failure = toGpuRunError(error);
    if (failure.code === 'conflict') result.kept.push({ ...reaped, why: failure.message });
    else {
      const byHand = ref === null ? [] : [provider.endByHand?.(ref) ?? []].flat();
      result.leftovers.push([...new Set([`${reaped.name} (${reaped.id}): ${failure.message}`, ...byHand, ...failure.hints])].join(' | '));
    }
  }
}

async function end(ref: MachineRef, provider: Provider, why: string, context: RunContext): Promise<readonly string[]> {
  if (ref.leftover === undefined && context.ledger.get(ref.id) === null) await writeDown(ref, provider, context);
  const entry = context.ledger.get(ref.id);
  if (ref.leftover === undefined && entry !== null && entry.state !== 'gone' && isEntrys(ref, entry, provider))
    return (await endClaimed(entry, `reap: ${why}`, context)).leftovers;
  const { leftovers } = await terminateAndWait(ref, provider, context);
  if (entry?.state === 'gone') forgetKeys(entry, context);
  return leftovers;
}

/** What it has cost is booked. Nothing that fails here keeps it from being ended. */
async function writeDown(ref: MachineRef, provider: Provider, context: RunContext): Promise<void> {
  try {
    await adopt(ref, provider, context);
  } catch (error) {
    context.signal.throwIfAborted();
    const { message } = toGpuRunError(error);
    context.reporter.report({ type: 'note', level: 'warn', text: `What '${ref.id}' has cost is not booked: ${message}` });
  }
}

/** In the ledger, but not listed by its provider: gone, unless it is just being made, the user's own host, or there when asked for by itself. */
async function settleUnlisted(entry: MachineEntry, partly: boolean, judgement: Judgement, result: Sorted): Promise<void> {
  const { provider, context } = judgement;
  const late = entry.deadline < context.clock.now();
  const keep = (why: string) => void result.kept.push({ provider: provider.id, id: entry.id, name: entry.name, why });
  if (entry.holder !== null && mayBeAlive(entry.holder)) return keep(`${entry.state}, process ${entry.holder.pid} is at it`);
  if (!late && !isAbandoned(entry)) {
    if (provider.traits.borrowed) return keep('your own host');
    try {
      if (entry.ref !== null && (await provider.describe(entry.ref, context.signal)).state !== 'gone') return keep('up, though its provider does not list it');
    } catch (error) {
      if (!partly) throw error;
      return keep('up as far as is known: its provider did not answer for it');
    }
  }
  const why = late ? 'past its deadline' : 'the provider does not list it any more';
  const reaped: Reaped = { provider: provider.id, id: entry.id, name: entry.name, why };
  await endOrSay(reaped, entry.ref, judgement, result, async () => (await endClaimed(entry, `reap: ${why}`, context)).leftovers);
}
