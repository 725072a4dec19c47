import { BaseCommand } from '../base-command.ts';
import { configFlags, toggle } from '../flags.ts';
import { budgetDocument, isoTime, jobDocument, machineDocument } from '../render/documents.ts';
import { renderStatus } from '../render/machines.ts';

export default class Status extends BaseCommand {
  static override description = `Show machines and jobs, with the age of what is known about each.
Answers at once from what this computer knows; --refresh asks the providers and the machines.`;
  static override examples = ['<%= config.bin %> status', '<%= config.bin %> status --refresh', '<%= config.bin %> status --all --json'];
  static override flags = {
    ...configFlags,
    refresh: toggle('refresh', 'Ask the providers and the machines first'),
    all: toggle('all', 'Machines that are gone, too, and all jobs'),
  };

  async run(): Promise<number> {
    const { flags } = await this.parse(Status);
    const refresh = flags.refresh ?? false;
    const providerOptions = refresh ? await this.providerOptions(flags) : {};
    const { status } = await import('../../workflows/status.ts');
    const result = await this.withContext({}, (context) => status({ refresh, all: flags.all ?? false, providerOptions }, context));
    const machines = result.machines.map((machine) => ({
      ...machineDocument(machine),
      cost: { usd: machine.costUsd },
      budget: budgetDocument(machine.budget),
      adopted: machine.adopted !== undefined,
      asOf: isoTime(machine.asOf),
    }));
    const unreachable = result.unreachable?.map(({ provider, failure: { code, message } }) => ({ provider, code, message }));
    const refreshed = unreachable === undefined ? {} : { unreachable };
    return this.finish({ machines, jobs: result.jobs.map(jobDocument), ...refreshed }, renderStatus(result, this.view));
  }
}
