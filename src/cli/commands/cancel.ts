import { parseDuration } from '../../core/duration.ts';
import { BaseCommand } from '../base-command.ts';
import { configFlags, jobArg, option } from '../flags.ts';
import { jobDocument } from '../render/documents.ts';
import { endLine } from '../render/job-view.ts';

export default class Cancel extends BaseCommand {
  static override description = `Stop a job: a signal, time to save its work, then an end to all its processes.
The machine stays up.`;
  static override examples = ['<%= config.bin %> cancel', '<%= config.bin %> cancel --grace 5s', '<%= config.bin %> cancel job-20261121-k3v9xq'];
  static override args = { job: jobArg };
  static override flags = { ...configFlags, grace: option('grace', 'How long it may take to save and end; default: 30s', '30s') };

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Cancel);
    const [{ findJob }, { cancel }] = await Promise.all([import('../../workflows/find.ts'), import('../../workflows/cancel.ts')]);
    const graceMs = flags.grace === undefined ? null : parseDuration(flags.grace) * 1000;
    const machineName = args.job === undefined ? (await this.settings(flags)).name : '';
    const { job, before } = await this.withContext({}, async (context) => {
      const found = findJob({ jobId: args.job ?? null, machineName, unfinished: true }, context);
      return { before: found, job: await cancel({ jobId: found.id, graceMs }, context) };
    });
    const acted = before.end?.reason !== 'cancelled' && job.end?.reason === 'cancelled';
    return this.finish({ job: jobDocument(job) }, acted ? endLine(job) : `Nothing to cancel: ${endLine(job)}`);
  }
}
