/** Whether something that carries our label goes or stays. Looks, and changes nothing. */
import { formatMoment } from '../core/duration.ts';
import { labelKeys, type MachineRef, type MachineStatus } from '../core/machine.ts';
import { mayBeAlive } from '../core/process-identity.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { Provider } from '../providers/provider.ts';
import type { RunContext } from './context.ts';
import { isCopied, labelledDeadline, type ProviderOptions } from './list-ours.ts';
import { isAbandoned } from './recover.ts';
import { secondLookMs } from './settle-gone.ts';

export interface ReapInput {
  readonly dryRun: boolean;
  /** Also those that were made from another state folder and have time left. Absent: they stay. */
  readonly elsewhere?: boolean;
  /** What the config says of the providers: they look there, too. */
  readonly providerOptions?: ProviderOptions;
}

export interface Judgement {
  readonly input: ReapInput;
  readonly provider: Provider;
  readonly context: RunContext;
}

export interface Verdict {
  readonly end: boolean;
  /** In words, without a full stop. */
  readonly why: string;
}

/** A disk without a machine may be that of a machine which is just being made, for so long, milliseconds. */
const youngMs = 10 * 60_000;

export async function judgeMachine(ref: MachineRef, judgement: Judgement): Promise<Verdict> {
  const { input, context } = judgement;
  const entry = context.ledger.get(ref.id);
  if (entry !== null && entry.state !== 'gone') return await judgeKnown(entry, ref, judgement);
  if (isCopied(ref)) return { end: false, why: `its label is another machine's: gpu-run did not make it, and leaves it alone` };
  const status = await look(ref, judgement);
  const deadline = labelledDeadline(ref) ?? status.deadline ?? 0;
  // One that waits in its provider's queue has not begun.
  if (deadline > 0 && deadline < context.clock.now() && status.queued !== true) return { end: true, why: 'past its deadline' };
  if (entry !== null) return { end: true, why: 'the ledger says that it is gone' };
  if (status.state === 'gone' || status.state === 'ending') return { end: true, why: 'it has stopped, and something of it is left' };
  const home = otherHome(ref, context);
  if (home === null) return { end: true, why: 'not in the ledger of this computer' };
  if (input.elsewhere === true) return { end: true, why: `not in the ledger of this computer, but made from ${home}` };
  return { end: false, why: keptFor(home, deadline === 0 ? null : deadline) };
}

/** From which other state folder it was made; null: from this one, or nobody knows. */
function otherHome({ labels }: MachineRef, { homeLabel }: RunContext): string | null {
  const home = labels[labelKeys.home];
  return home === undefined || home === homeLabel ? null : home;
}

function keptFor(home: string, deadline: number | null): string {
  return `made from ${home}, ${deadline === null ? 'until when is not known' : `with time until ${formatMoment(deadline)}`}; --elsewhere ends it`;
}

async function judgeKnown(entry: MachineEntry, ref: MachineRef, judgement: Judgement): Promise<Verdict> {
  const { clock } = judgement.context;
  if (entry.holder !== null && mayBeAlive(entry.holder)) return { end: false, why: `${entry.state}, process ${entry.holder.pid} is at it` };
  // It may have been moved from another computer.
  if (Math.max(entry.deadline, labelledDeadline(ref) ?? 0) < clock.now()) return { end: true, why: 'past its deadline' };
  if (isAbandoned(entry)) return { end: true, why: 'the gpu-run that was starting or ending it died' };
  const { state } = await look(ref, judgement);
  if (state === 'gone' || state === 'ending') return { end: true, why: 'it has stopped, and something of it is left' };
  return { end: false, why: 'up' };
}

/** A disk or a rule. Disks of machines that are being made, or that somebody is at, are left alone. */
export async function judgeLeftover(ref: MachineRef, { input, provider, context }: Judgement): Promise<Verdict> {
  const what = ref.leftover ?? '';
  const entry = context.ledger.get(ref.id);
  const now = context.clock.now();
  if (entry !== null && entry.state !== 'gone' && !isAbandoned(entry)) return { end: false, why: `${what}: the machine is ${entry.state}` };
  const age = ref.createdAt === null ? null : now - ref.createdAt;
  const deadline = labelledDeadline(ref);
  if (entry === null && (deadline === null || deadline >= now)) {
    if (age !== null && age < youngMs) return { end: false, why: `${what} is new: its machine may be on its way` };
    const home = otherHome(ref, context);
    if (home !== null && input.elsewhere !== true) return { end: false, why: `${what}: ${keptFor(home, deadline)}` };
  }
  return { end: true, why: `${what} was left behind at ${provider.id}` };
}

async function look(ref: MachineRef, { provider, context }: Judgement): Promise<MachineStatus> {
  const first = await provider.describe(ref, context.signal);
  if (first.state !== 'gone') return first;
  await context.clock.sleep(secondLookMs, context.signal);
  return await provider.describe(ref, context.signal);
}
