/** What to do about a job whose machine is gone. */
import { GpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { mayBeAlive } from '../core/process-identity.ts';
import type { RunContext } from './context.ts';
import { saysAsked, saysOff } from './end-reason.ts';

/** The same error with hints about the job, where it came to its end with its machine; anything else as it is. `job`: null where it came to none. */
export function withJobHints(thrown: unknown, job: JobEntry | null, { ledger }: Pick<RunContext, 'ledger'>): unknown {
  if (job === null || !(thrown instanceof GpuRunError) || (thrown.code !== 'lost' && thrown.code !== 'preempted')) return thrown;
  const { id } = job;
  const reason = ledger.get(job.machineId)?.endReason ?? null;
  const isWanted = saysAsked(reason) && !saysOff(reason); // nobody tries again what somebody has ended
  const { again = false, awaitedBy = null, retriedBy = null, attempts: made = 1 } = ledger.getJob(id) ?? {};
  const isTried = !isWanted && (again || [awaitedBy, retriedBy].some((who) => who !== null && mayBeAlive(who)));
  const next = isTried ? [`gpu-run logs ${id} --follow   shows the next attempt, where the gpu-run train that began it makes one`] : [];
  const rest = thrown.hints.filter((hint) => !hint.startsWith('gpu-run up '));
  const { code, message, retry, cause, attempts } = thrown;
  const how = isTried ? ' otherwise' : made > 1 ? ' from nothing, with --start-from FOLDER from a checkpoint' : '';
  return new GpuRunError(code, message, { hints: [...next, `gpu-run train   starts it again${how}`, ...rest], retry, cause, attempts });
}
