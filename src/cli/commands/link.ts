import { Args } from '@oclif/core';
import { BaseCommand } from '../base-command.ts';

export default class Link extends BaseCommand {
  static override hidden = true;
  static override description = `Keep the connection to a machine warm for the commands that follow.
up, train and sync start it when they are done; it ends by itself. GPU_RUN_LINK=0 keeps them from it.`;
  static override examples = ['<%= config.bin %> link MACHINE-ID'];
  static override args = { id: Args.string({ description: "The machine's id", required: true, ignoreStdin: true }) };

  async run(): Promise<number> {
    const { args } = await this.parse(Link);
    const { keepLink } = await import('../../workflows/links.ts');
    const ended = await this.withContext({ onInterrupt: null }, (context) => keepLink(args.id, context));
    return this.finish({ ended }, `The link has ended: ${ended}.`);
  }
}
