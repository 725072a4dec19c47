import { Args } from '@oclif/core';
import { GpuRunError } from '../../core/errors.ts';
import { formatSize } from '../../core/size.ts';
import { BaseCommand } from '../base-command.ts';
import { configFlags } from '../flags.ts';
import { plural } from '../render/text.ts';

export default class Pull extends BaseCommand {
  static override description = `Fetch outputs from a machine into this folder, without running anything.
Without paths: the outputs: of gpu-run.yaml.`;
  static override usage = 'pull [NAME [PATH...]] [FLAGS]';
  static override examples = ['<%= config.bin %> pull', '<%= config.bin %> pull cats checkpoints/last.pt'];
  static override args = { paths: Args.string({ description: "The machine's name, then paths relative to the workdir", multiple: true, ignoreStdin: true }) };
  static override flags = configFlags;

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Pull);
    const [name, ...paths] = args.paths ?? [];
    const settings = await this.settings({ ...flags, name });
    const wanted = paths.length > 0 ? paths : settings.outputs;
    if (wanted.length === 0) {
      throw new GpuRunError('bad-input', 'There is nothing to fetch: no path was given, and gpu-run.yaml names no `outputs:`.', {
        hints: [`gpu-run pull ${settings.name} PATH   fetches one`],
      });
    }
    const [{ pull }, { hostsOf }] = await Promise.all([import('../../workflows/pull.ts'), import('../../workflows/from-settings.ts')]);
    const { folder } = settings;
    const outputs = await this.withContext({ folder }, (context) =>
      pull({ name: settings.name, paths: wanted, into: folder, strict: paths.length > 0, hosts: hostsOf(settings) }, context),
    );
    const bytes = outputs.reduce((sum, file) => sum + file.bytes, 0);
    return this.finish({ outputs }, `${plural(outputs.length, 'file')}, ${formatSize(bytes)}`);
  }
}
