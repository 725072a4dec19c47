import { GpuRunError } from '../../core/errors.ts';
import { BaseCommand } from '../base-command.ts';
import { machineFlags } from '../flags.ts';
import { renderChecks } from '../render/reports.ts';
import { plural } from '../render/text.ts';

export default class Doctor extends BaseCommand {
  static override description = 'Check what gpu-run leans on, and say what to do about what is missing.';
  static override examples = ['<%= config.bin %> doctor', '<%= config.bin %> doctor --provider ssh'];
  static override flags = machineFlags;

  async run(): Promise<number> {
    const { flags } = await this.parse(Doctor);
    const { providers, need, folder } = await this.settings(flags);
    const { doctor } = await import('../../workflows/doctor.ts');
    const checks = await this.withContext({ folder }, (context) => doctor({ providers, need }, context));
    const failed = checks.filter(({ outcome }) => outcome === 'fail').length;
    const failure = failed === 0 ? null : new GpuRunError('unfit', `${plural(failed, 'check')} failed.`, { hints: ['What to do stands below each of them.'] });
    return this.finish({ checks }, renderChecks(checks, this.view), failure);
  }
}
