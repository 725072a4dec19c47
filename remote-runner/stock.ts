/** What there is to give: the GPUs that answer, without those that processes still use which could not be ended. */
import type { Inventory } from './gpu-inventory.ts';
import { gpusOf } from './grant.ts';
import { readableOrder } from './job-files.ts';
import { jobsWithProcesses } from './job-processes.ts';
import { jobFolder, jobIds, type MachineFolder } from './machine-folder.ts';
import type { Holding, Stock } from './turn.ts';

/** null: the driver has not answered yet. */
export function stockOf(machine: MachineFolder, { report }: Pick<Inventory, 'report'>, holding: readonly Holding[]): Stock | null {
  if (report === null) return null;
  const stuck = () => {
    const live = jobsWithProcesses();
    const ended = jobIds(machine).filter((id) => live.has(id) && !holding.some((each) => each.id === id));
    // One that had the machine to itself may use any of them.
    return new Map(ended.flatMap((id) => (gpusOf(jobFolder(machine, id)) ?? report.gpus).map(({ uuid }): [string, string] => [uuid, nameOf(machine, id)])));
  };
  return { gpus: report.gpus, problem: report.problem, stuck };
}

function nameOf(machine: MachineFolder, id: string): string {
  return readableOrder(jobFolder(machine, id))?.name ?? id;
}
