/** `extend`: moves a machine's deadline at all places that know it, or says why it can't and what then still holds. */
import { formatDuration, formatMoment } from '../core/duration.ts';
import { GpuRunError } from '../core/errors.ts';
import { formatUsd } from '../core/money.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
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
 * @throws GpuRunError `budget` when the money does not reach, `conflict` when its provider can't move its timer, or it is not ready
 */
export async function extend(input: ExtendInput, context: RunContext): Promise<ExtendResult> {
  return await besideRecovery(context, () => extendOne(input, context));
}

async function extendOne({ name, bySeconds }: ExtendInput, context: RunContext): Promise<ExtendResult> {
  const machine = findMachine(name, context);
  if (machine.state !== 'ready' || machine.ref === null) throw new GpuRunError('conflict', `'${name}' is not ready (${machine.state}): its deadline stays.`);
  const from = machine.deadline;
  const deadline = from + bySeconds * 1000;
  checkBudget(machine, deadline, context);
  const provider = await context.providers.get(machine.provider);
  const { traits } = provider;
  if (traits.deadline === 'native' && provider.extend === undefined) {
    throw new GpuRunError('conflict', `${provider.id} can't move the timer of a machine that runs: '${name}' ends at ${formatMoment(from)} as before.`, {
      hints: [
        `gpu-run pull ${name} PATH   fetches what is to be kept before that`,
        'Next time, ask for more with --max-time: it costs nothing while the machine ends with its job.',
      ],
    });
  }
  await using reached = await reachOrLose(machine, context);
  await provider.extend?.(machine.ref, deadline, context.signal);
  const watchdog = await armWatchdog({ ...machine, deadline }, traits, reached.runner, context);
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

function checkBudget(machine: MachineEntry, deadline: number, { clock }: RunContext): void {
  const until = affordableUntil(machine);
  if (deadline <= until) return;
  const moreSeconds = Math.floor((until - machine.deadline) / 1000);
  const { name, budgetUsd, spentBeforeUsd = 0 } = machine;
  const usd = formatUsd(budgetUsd ?? 0);
  const left = moreSeconds >= 1 && machine.deadline > clock.now() ? [`gpu-run extend ${name} --by ${compact(moreSeconds)}   is what it allows`] : [];
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
