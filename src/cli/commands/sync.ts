import { BaseCommand } from '../base-command.ts';
import { configFlags, nameArg } from '../flags.ts';
import { renderSync } from '../render/reports.ts';

export default class Sync extends BaseCommand {
  static override description = 'Send what changed of code and data to a machine, without running anything.';
  static override examples = ['<%= config.bin %> sync', '<%= config.bin %> sync cats'];
  static override args = { name: nameArg };
  static override flags = configFlags;

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Sync);
    const { name, sync, outputs, folder, retry } = await this.settings({ ...flags, ...args });
    const { push } = await import('../../workflows/push.ts');
    const totals = await this.withContext({ folder }, (context) =>
      push({ name, sync, outputs: [...outputs, ...(retry.resumeFrom === null ? [] : [retry.resumeFrom])] }, context),
    );
    return this.finish({ sync: totals }, renderSync(totals));
  }
}
