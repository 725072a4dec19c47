/** `extend`: moves a machine's deadline at all places that know it, or says why it can't and what then still holds. */
import { formatDuration, formatMoment } from '../core/duration.ts';
import { GpuRunError } from '../core/errors.ts';
import type { MachineRef } from '../core/machine.ts';
import { formatUsd } from '../core/money.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { Provider } from '../providers/provider.ts';
import type { RunnerClient } from '../runner/client.ts';
import { affordableUntil } from './budget-deadline.ts';
import type { RunContext } from './context.ts';
import { findMachine } from './find.ts';
import { armWatchdog, protectionOf } from './protection.ts';
import { reachOrLose } from './reach-machine.ts';
import { besideRecovery } from './recover.ts';

export interface ExtendInput {
  readonly name: string;
  readonly bySeconds: number;
}

export interface ExtendResult {
  readonly machine: MachineEntry;
  /** The deadline before. Milliseconds since the epoch. */
  readonly from: number;
  /** What ends it now, in words. */
  readonly protection: readonly string[];
}

/**
 * The provider first, for it may refuse; the ledger last: whatever fails in between, the ledger names the earlier deadline, and the
 * same call again does the rest.
 * @throws GpuRunError `budget` when the money does not reach, `conflict` when its provider can't move its timer, it is not ready, or another gpu-run is at it
 */
export async function extend(input: ExtendInput, context: RunContext): Promise<ExtendResult> {
  return await besideRecovery(context, () => extendOne(input, context));
}

async function extendOne({ name, bySeconds }: ExtendInput, context: RunContext): Promise<ExtendResult> {
  const found = readyOne(findMachine(name, context));
  const from = found.deadline;
  checkBudget(found, later(found, bySeconds, context), context);
  const provider = await context.providers.get(found.provider);
  const { traits } = provider;
  if (traits.deadline === 'native' && provider.extend === undefined) {
    throw new GpuRunError('conflict', `${provider.id} can't move the timer of a machine that runs: '${name}' ends at ${formatMoment(from)} as before.`, {
      hints: [
        `gpu-run pull ${name} PATH   fetches what is to be kept before that`,
        'Next time, ask for more with --max-time: it costs nothing while the machine ends with its job.',
      ],
    });
  }
  await using reached = await reachOrLose(found, context);
  return await claimed(found, context, (machine) => move(machine, bySeconds, provider, reached.runner, context));
}

/** What another `extend` or `down` has done meanwhile counts. */
async function claimed<T>(found: MachineEntry, { ledger, self }: RunContext, work: (machine: Ready) => Promise<T>): Promise<T> {
  const { holder = null } = ledger.get(found.id) ?? found;
  const isOwn = holder !== null && holder.pid === self.pid && holder.started === self.started; // another call in this process
  if (isOwn || !ledger.claim(found.id, self)) {
    throw new GpuRunError('conflict', `Another gpu-run (process ${holder?.pid}) is working on '${found.name}': its deadline stays.`, {
      hints: ['Wait for it; then try again.'],
    });
  }
  try {
    return await work(readyOne(ledger.get(found.id) ?? found));
  } finally {
    ledger.release(found.id, self);
  }
}

async function move(machine: Ready, bySeconds: number, provider: Provider, runner: RunnerClient, context: RunContext): Promise<ExtendResult> {
  const { name, deadline: from } = machine;
  const { traits } = provider;
  const deadline = later(machine, bySeconds, context);
  checkBudget(machine, deadline, context);
  await provider.extend?.(machine.ref, deadline, context.signal);
  const watchdog = await armWatchdog({ ...machine, deadline }, traits, runner, context);
  const needsWatchdog = traits.deadline !== 'native';
  if (!watchdog.endsJobs || (needsWatchdog && !traits.borrowed && !watchdog.powersOff)) {
    const still = machine.watchdog?.endsJobs === true ? ` Jobs there end at ${formatMoment(from)} as before.` : '';
    throw new GpuRunError('conflict', `The watchdog on '${name}' could not be set to the new deadline: ${watchdog.problem}.${still}`, {
      hints: [`gpu-run extend ${name} --by ${compact(bySeconds)}   tries again`],
    });
  }
  context.ledger.note(machine.id, { fact: 'armed', watchdog });
  const moved = context.ledger.note(machine.id, { fact: 'deadline', deadline });
  return { machine: moved, from, protection: protectionOf(moved, traits) };
}

type Ready = MachineEntry & { readonly ref: MachineRef };

/** @throws GpuRunError `conflict` */
function readyOne(machine: MachineEntry): Ready {
  const { ref, name, state } = machine;
  if (state !== 'ready' || ref === null) throw new GpuRunError('conflict', `'${name}' is not ready (${state}): its deadline stays.`);
  return { ...machine, ref };
}

/** Counted from now where the deadline has passed: a host of one's own stays. Milliseconds since the epoch. */
function later({ deadline }: MachineEntry, bySeconds: number, { clock }: RunContext): number {
  return Math.max(deadline, clock.now()) + bySeconds * 1000;
}

function checkBudget(machine: MachineEntry, deadline: number, { clock }: RunContext): void {
  const until = affordableUntil(machine);
  if (deadline <= until) return;
  const moreSeconds = Math.floor((until - Math.max(machine.deadline, clock.now())) / 1000);
  const { name, budgetUsd, spentBeforeUsd = 0 } = machine;
  const usd = formatUsd(budgetUsd ?? 0);
  const left = moreSeconds >= 1 ? [`gpu-run extend ${name} --by ${compact(moreSeconds)}   is what it allows`] : [];
  const earlier = spentBeforeUsd > 0 ? `, of which earlier attempts have spent ${formatUsd(spentBeforeUsd)},` : '';
  throw new GpuRunError(
    'budget',
    `The budget of ${usd} for '${name}'${earlier} lasts until ${formatMoment(until)}: its deadline stays at ${formatMoment(machine.deadline)}.`,
    {
      hints: [...left, 'A machine that is made with a larger --budget lasts longer.'],
    },
  );
}

/** `1h30m`: one word of a command line. */
function compact(seconds: number): string {
  return formatDuration(seconds).replaceAll(' ', '');
}
