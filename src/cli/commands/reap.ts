import { GpuRunError } from '../../core/errors.ts';
import type { ReapResult } from '../../workflows/reap.ts';
import { BaseCommand } from '../base-command.ts';
import { configFlags, toggle } from '../flags.ts';
import { failureOfLeftovers } from '../job-verdict.ts';
import { renderReap } from '../render/reports.ts';

export default class Reap extends BaseCommand {
  static override description = `Find what is ours at every provider; end what is past its deadline or unknown.
What is up and known stays up, and so does what another computer made, until its deadline.`;
  static override examples = ['<%= config.bin %> reap --dry-run', '<%= config.bin %> reap'];
  static override flags = {
    ...configFlags,
    'dry-run': toggle('dry-run', 'Only show what would be ended'),
    elsewhere: toggle('elsewhere', 'Also what was made from another computer or state folder and has time left'),
  };

  async run(): Promise<number> {
    const { flags } = await this.parse(Reap);
    const dryRun = flags['dry-run'] ?? false;
    const elsewhere = flags.elsewhere ?? false;
    const providerOptions = await this.providerOptions(flags);
    const { reap } = await import('../../workflows/reap.ts');
    const result = await this.withContext({}, (context) => reap({ dryRun, elsewhere, providerOptions }, context));
    return this.finish({ dryRun, ...result }, renderReap(result, dryRun), failureOf(result));
  }
}

/** What could not be looked at may hold something that bills. */
function failureOf({ leftovers, unreachable }: ReapResult): GpuRunError | null {
  if (leftovers.length > 0 || unreachable.length === 0) return failureOfLeftovers(leftovers);
  const providers = unreachable.map(({ provider }) => provider).join(', ');
  const code = unreachable.every((each) => each.code === 'not-allowed') ? 'not-allowed' : 'connection';
  return new GpuRunError(code, `Not every provider could be asked: ${providers}.`, {
    hints: ['gpu-run doctor   says what is missing', 'gpu-run reap   tries again'],
  });
}
