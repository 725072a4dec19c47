import { BaseCommand } from '../base-command.ts';
import { configFlags, jobArg, option } from '../flags.ts';
import { optionalFile, writeReport } from '../report-file.ts';

export default class Report extends BaseCommand {
  static override description = `Show how well a job used its machine: GPUs, memory, speed, money, with advice.
Of a job that still runs as far as it has come; works after the machine is gone. Advises on nothing that was not measured.`;
  static override examples = [
    '<%= config.bin %> report',
    '<%= config.bin %> report job-20261121-k3v9xq --json',
    { description: 'One page with plots, which needs no network:', command: '<%= config.bin %> report --html report.html' },
  ];
  static override args = { job: jobArg };
  static override flags = {
    ...configFlags,
    html: option('html', 'Write a page with plots, and not to the terminal; without FILE: report-JOB.html here', 'FILE'),
  };

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Report, optionalFile(this.argv, 'html'));
    const [{ findJob }, { report }] = await Promise.all([import('../../workflows/find.ts'), import('../../workflows/report.ts')]);
    const machineName = args.job === undefined ? (await this.settings(flags)).name : '';
    const result = await this.withContext({}, async (context) => {
      const { id } = findJob({ jobId: args.job ?? null, machineName, unfinished: false }, context);
      return await report(id, context);
    });
    const [{ reportDocument }, { renderReport }] = await Promise.all([import('../render/report-document.ts'), import('../render/report-text.ts')]);
    const document = reportDocument(result);
    if (flags.html === undefined) return this.finish(document, renderReport(result, this.view));
    const file = await writeReport(result, flags.html, this.view.now);
    return this.finish({ ...document, html: file }, `Wrote ${file}`);
  }
}
