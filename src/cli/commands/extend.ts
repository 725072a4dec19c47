import { parseDuration } from '../../core/duration.ts';
import { GpuRunError } from '../../core/errors.ts';
import { BaseCommand } from '../base-command.ts';
import { configFlags, nameArg, option } from '../flags.ts';
import { machineDocument } from '../render/documents.ts';
import { renderExtend } from '../render/machines.ts';

export default class Extend extends BaseCommand {
  static override description = `Move a machine's deadline to a later time, within its budget.
It is moved at its provider, in the watchdog on it, and here. A deadline that has passed is moved to that long from now.
Where the provider can't move it, nothing is changed, and what still holds is said.`;
  static override examples = ['<%= config.bin %> extend --by 1h', '<%= config.bin %> extend cats --by 30m'];
  static override args = { name: nameArg };
  static override flags = { ...configFlags, by: option('by', 'How much later it shall end', '1h') };

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Extend);
    if (flags.by === undefined) throw new GpuRunError('usage', 'By how much?', { hints: ['gpu-run extend --by 1h   lets it live an hour longer'] });
    const bySeconds = parseDuration(flags.by);
    const { extend } = await import('../../workflows/extend.ts');
    const name = args.name ?? (await this.settings(flags)).name;
    const result = await this.withContext({}, (context) => extend({ name, bySeconds }, context));
    const { machine, from, protection } = result;
    return this.finish({ machine: { ...machineDocument(machine), protection }, from: new Date(from).toISOString() }, renderExtend(result, this.view));
  }
}
