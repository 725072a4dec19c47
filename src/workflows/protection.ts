/** What ends a machine if nobody ever comes back: the watchdog on it is armed here, and what protects it is told from what was really armed. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { ArmedWatchdog, MachineEntry } from '../ledger/ledger.ts';
import type { Provider, ProviderTraits } from '../providers/provider.ts';
import type { RunnerClient } from '../runner/client.ts';
import { isBought } from './budget-deadline.ts';
import type { RunContext } from './context.ts';

/** Without an own word of the user on it. Seconds. */
const defaultStallSeconds = 3_600;

/**
 * Sets the watchdog on the machine to the deadline of `machine`, in place of what it was set to. What it can't do stands in the result.
 * @throws GpuRunError `connection`, `interrupted`
 */
export async function armWatchdog(machine: MachineEntry, traits: ProviderTraits, runner: RunnerClient, { clock }: Pick<RunContext, 'clock'>) {
  const { deadline, idleSeconds, stallSeconds = defaultStallSeconds } = machine;
  const mayPowerOff = traits.switchesOff === true;
  try {
    const { powerOff, problem } = await runner.call('arm', {
      deadline,
      remainingMs: deadline - clock.now(),
      why: isBought(machine) ? 'budget' : 'deadline',
      idleSeconds,
      stallSeconds,
      onEnd: mayPowerOff ? 'power-off' : 'leave',
      deletedByProvider: traits.deadline === 'native',
    });
    return { endsJobs: true, powersOff: powerOff !== null, problem } satisfies ArmedWatchdog;
  } catch (error) {
    const failure = toGpuRunError(error);
    if (failure.code === 'connection' || failure.code === 'interrupted') throw failure;
    return { endsJobs: false, powersOff: false, problem: failure.message.replace(/\.$/, '') } satisfies ArmedWatchdog;
  }
}

/**
 * A watchdog whose order was lost, or was written by a version of the runner that put it otherwise, protects nothing: it is set
 * again to what the ledger says. Where the order can be read it stays: another computer may have moved the deadline since.
 * @throws GpuRunError `connection`, `interrupted`
 */
export async function rearmWatchdog(machineId: string, runner: RunnerClient, context: RunContext): Promise<void> {
  const machine = runner.isWatched ? null : context.ledger.get(machineId);
  if (machine?.state !== 'ready' || machine.watchdog?.endsJobs !== true) return;
  const { traits } = await context.providers.get(machine.provider);
  const watchdog = await armWatchdog(machine, traits, runner, context);
  context.ledger.note(machineId, { fact: 'armed', watchdog });
  const isAsGood = watchdog.endsJobs && (watchdog.powersOff || !machine.watchdog.powersOff);
  if (isAsGood) return;
  const text = `The watchdog on '${machine.name}' had lost its order, and can't be set again as it was: ${watchdog.problem ?? 'it does not say why'}.`;
  context.reporter.report({ type: 'note', level: 'warn', text });
}

/** Who ends what if nobody comes back, in words. Empty: nobody ends anything. */
export function protectionOf({ provider, idleSeconds, watchdog }: MachineEntry, traits: ProviderTraits): string[] {
  const idle = idleSeconds === null ? '' : ` after ${idleSpan(idleSeconds)}`;
  const isNative = traits.deadline === 'native';
  const own = isNative ? [`${provider} ends it at its deadline${traits.endsIdle && idle !== '' ? `, or${idle}` : ''}`] : [];
  if (watchdog?.endsJobs !== true) return own;
  if (traits.borrowed) return [...own, 'the watchdog on the host ends jobs at the deadline; the host is your own and stays, idle or not'];
  const jobs = 'the watchdog on the machine ends jobs shortly before its deadline, so that they can save their work';
  if (!watchdog.powersOff) return [...own, jobs];
  const bills = 'what is off still bills for its disk, until the next up, down or reap';
  if (isNative) return [...own, `${jobs}; it switches the machine off${idle === '' ? '' : `${idle}, and`} if ${provider} is late; ${bills}`];
  return [...own, `${jobs}, and switches it off then${idle === '' ? '' : `, or${idle}`}; ${bills}`];
}

function idleSpan(seconds: number): string {
  const [count, unit] = seconds % 60 === 0 ? [seconds / 60, 'minute'] : [seconds, 'second'];
  return `${count} idle ${unit}${count === 1 ? '' : 's'}`;
}

/** Before anything is ordered: a machine that nothing could end. @throws GpuRunError `usage` unless that is accepted */
export function refuseUnprotected({ id, traits }: Provider, accepted: boolean): void {
  if (accepted || traits.deadline !== 'none' || traits.switchesOff === true || traits.borrowed) return;
  throw unprotected(`Nothing ends machines of ${id} but gpu-run on this computer`);
}

/** Once the watchdog is armed, or could not be. @throws GpuRunError `usage` when nothing protects it, unless that is accepted */
export function checkProtected({ name, provider, watchdog }: MachineEntry, { deadline, borrowed }: ProviderTraits, accepted: boolean): void {
  if (accepted || deadline === 'native' || watchdog?.powersOff === true || (borrowed && watchdog?.endsJobs === true)) return;
  const why = watchdog?.problem == null ? '' : ` (${watchdog.problem})`;
  const what = borrowed
    ? `Nothing would end jobs on '${name}' at its deadline`
    : `Nothing would end '${name}' at its deadline; ${provider} has no timer of its own`;
  throw unprotected(`${what}${why}`);
}

function unprotected(what: string): GpuRunError {
  return new GpuRunError('usage', `${what}: if this computer sleeps or fails, it goes on, and may bill, until somebody notices.`, {
    hints: ['Add --yes to take that risk.'],
  });
}
