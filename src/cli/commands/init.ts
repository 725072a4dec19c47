import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError } from '../../core/errors.ts';
import { BaseCommand } from '../base-command.ts';
import { toggle } from '../flags.ts';

export default class Init extends BaseCommand {
  static override description = 'Write a commented gpu-run.yaml for what is found in this folder. Asks nothing.';
  static override examples = ['<%= config.bin %> init', '<%= config.bin %> init --force'];
  static override flags = { force: toggle('force', 'Overwrite the gpu-run.yaml that is there') };

  async run(): Promise<number> {
    const { flags } = await this.parse(Init);
    const file = join(process.cwd(), 'gpu-run.yaml');
    if (existsSync(file) && flags.force !== true && flags.yes !== true) {
      throw new GpuRunError('conflict', `${file} is there already, and was not touched.`, { hints: ['gpu-run init --force   overwrites it'] });
    }
    const { starterConfig } = await import('../../config/starter.ts');
    const { text, found } = starterConfig(process.cwd());
    writeFileSync(file, text);
    return this.finish({ file, found }, `Wrote ${file} (${found === 'unknown' ? 'fill in its train: line' : `for a ${found} project`}).\nNext: gpu-run train`);
  }
}
