/** After an attempt that was cut short: whether there is another one, and the machine that it runs on. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { noteAgain, throwIfCancelled } from './between-attempts.ts';
import { isBought } from './budget-deadline.ts';
import { type RunContext, uninterrupted } from './context.ts';
import { endClaimed } from './down.ts';
import { preemptedReason, saysAsked, saysOff } from './end-reason.ts';
import { endIfLast } from './last-one.ts';
import type { AttemptOutcome } from './train-attempt.ts';
import type { TrainInput } from './train-input.ts';
import { up } from './up.ts';

type Reason = TrainInput['retry']['on'][number];

const longestPauseMs = 120_000;
/** So long a machine is looked for when there is none anywhere, milliseconds: nothing is billed meanwhile. */
const lookForMs = 60 * 60_000;
/** Less time than that is no attempt, milliseconds. */
const leastMs = 60_000;

/** Why the job is to be started again; null: that would not help, was not asked for, or somebody wanted the end. */
export function whyAgain(outcome: AttemptOutcome, machine: MachineEntry, { retry }: TrainInput, context: RunContext): Reason | null {
  const how = outcome.failure?.code ?? outcome.job?.end?.reason;
  const why = retry.on.find((reason) => reason === how);
  if (why === undefined) return null;
  const { endReason, stallSeconds, offer } = context.ledger.get(machine.id) ?? machine;
  // A job that has stalled would stall again. Who was not there to hear of it sees only that the machine was switched off.
  if (saysOff(endReason)) return stallSeconds === null || offer.gpu === null ? why : null;
  return saysAsked(endReason) ? null : why;
}

/** The pause before attempt `n`, from 2 on, milliseconds. */
export function pauseBefore(n: number): number {
  return Math.min(longestPauseMs, 2_000 * 2 ** (n - 2));
}

/**
 * The machine for attempt `n`: the same one where it is still there (it was started anew), else a new one, within what is left of the
 * run's time and money. Never two at once: the one before is known to be gone.
 * @throws GpuRunError `deadline`, `budget`, `interrupted`, and what `up` throws
 */
export async function machineForNext(n: number, why: Reason, last: MachineEntry, job: JobEntry | null, input: TrainInput, context: RunContext) {
  const { clock, signal, ledger, reporter } = context;
  if (job !== null) noteAgain(job, context);
  throwIfCancelled(job, context); // its end was wanted before it was lost
  signal.throwIfAborted();
  const pause = pauseBefore(n);
  const what = `${job?.id ?? 'The job'} was ${why}`;
  reporter.report({ type: 'note', level: 'warn', text: `${what}; attempt ${n} of ${input.retry.attempts} begins in ${pause / 1000} s` });
  await clock.sleep(pause, signal);
  throwIfCancelled(job, context);
  const entry = ledger.get(last.id) ?? last;
  if (why === 'preempted' && entry.state !== 'gone') await endClaimed(entry, preemptedReason, context);
  const { deadline: notAfter } = entry; // it may have been moved while the job ran
  if (notAfter - clock.now() < leastMs) throw outOfTime(what, isBought(entry));
  const { machine } = await upPatiently({ ...input.up, notAfter }, clock.now() + lookForMs, () => throwIfCancelled(job, context), context);
  try {
    throwIfCancelled(job, context);
  } catch (error) {
    // Whatever was to become of it behind the job: others may have come for it while it was waited for, or want it to stay.
    const forNobody = { job, machine, input: { teardown: 'auto' }, reason: 'its job was cancelled' } as const;
    if (machine.forOneJob) await endIfLast(forNobody, uninterrupted(context));
    throw error;
  }
  return machine;
}

/** When nobody has a machine now, somebody may have one later. */
async function upPatiently(
  input: TrainInput['up'] & { readonly notAfter: number },
  until: number,
  goOn: () => void,
  context: RunContext,
): ReturnType<typeof up> {
  for (let pause = 15_000; ; pause = Math.min(pause * 2, 5 * 60_000)) {
    try {
      return await up(input, context);
    } catch (error) {
      const { code, message } = toGpuRunError(error);
      const { clock, reporter, signal } = context;
      if (code !== 'no-capacity' || clock.now() + pause > Math.min(until, input.notAfter - leastMs)) throw error;
      reporter.report({ type: 'note', level: 'warn', text: `No machine now: ${message} Looking again in ${pause / 1000} s` });
      await clock.sleep(pause, signal);
      goOn();
    }
  }
}

function outOfTime(what: string, bought: boolean): GpuRunError {
  const [code, means, flag] = bought ? (['budget', 'what its budget buys', '--budget'] as const) : (['deadline', 'its time', '--max-time'] as const);
  return new GpuRunError(code, `${what}, and less than a minute of ${means} is left: it was not started again.`, {
    hints: [`Give more with ${flag}: it is for the whole run, all attempts included.`],
  });
}
