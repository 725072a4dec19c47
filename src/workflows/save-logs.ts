/** Before a machine goes: what its jobs have printed and nobody here has followed yet, so that `logs` works afterwards. */
import { toGpuRunError } from '../core/errors.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { followFrom } from './follow.ts';
import { copiedBytes, copiedRecords } from './job-copy.ts';
import { reachMachine } from './reach-machine.ts';

/** The machine is to end all the same when this takes longer. */
const withinMs = 30_000;

/** Never fails: a log that can't be fetched is only a warning, the machine has to go. */
export async function saveLogs(machine: MachineEntry, context: RunContext): Promise<void> {
  if (machine.state !== 'ready') return;
  const behind = context.ledger
    .listJobs({ machineId: machine.id })
    .filter((job) => copiedRecords(context.home.jobs, job.id).at(-1)?.type !== 'state' || job.state !== 'ended');
  const limited: RunContext = { ...context, signal: AbortSignal.any([context.signal, AbortSignal.timeout(withinMs)]) };
  for (const job of behind) {
    try {
      const record = copiedRecords(context.home.jobs, job.id).at(-1)?.n ?? 0;
      const logOffset = copiedBytes(context.home.jobs, job.id);
      const first = await reachMachine(machine, limited);
      await followFrom({ job, machine, logOffset, record, follow: false, first }, limited, () => {});
    } catch (error) {
      context.reporter.report({ type: 'note', level: 'warn', text: `The log of ${job.id} could not be saved: ${toGpuRunError(error).message}` });
      return;
    }
  }
}
