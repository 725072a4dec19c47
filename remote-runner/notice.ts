/** What a job finds out when it has to end, beside the signal: a file, for programs that would rather look than listen. */
import { existsSync } from 'node:fs';
import { isDiskFull, writeWithBallast } from './ballast.ts';
import { writeDurably } from './durable.ts';
import type { EndRequest } from './end-request.ts';
import type { JobFolder, MachineFolder } from './machine-folder.ts';

/** What stands in `GPU_RUN_PREEMPT_FILE`. */
interface Notice {
  readonly why: NonNullable<EndRequest['why']> | 'cancelled';
  /** Seconds from `at` to `until`. */
  readonly seconds: number;
  /** Milliseconds since the epoch on the machine: when it was written, and when the last of the job's processes is killed. */
  readonly at: number;
  readonly until: number;
}

/** There at once and whole. The first notice stays. On a full disk there is none: the signal comes all the same. */
export function giveNotice(machine: MachineFolder, job: JobFolder, { why, graceMs }: EndRequest): void {
  if (existsSync(job.preempt)) return;
  const at = Date.now();
  const notice: Notice = { why: why ?? 'cancelled', seconds: graceMs / 1000, at, until: at + graceMs };
  try {
    writeWithBallast(machine, () => writeDurably(job.preempt, `${JSON.stringify(notice)}\n`));
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}
