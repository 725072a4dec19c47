import { Args } from '@oclif/core';
import { BaseCommand } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';

export default class Tunnel extends BaseCommand {
  static override hidden = true;
  static override description = `Connect stdin and stdout to the SSH port of a machine without an address.
The generated SSH config runs it, so that plain ssh reaches such machines.`;
  static override examples = ["ssh -o ProxyCommand='<%= config.bin %> tunnel cats' gpurun@cats"];
  static override args = { name: Args.string({ description: "The machine's name", required: true, ignoreStdin: true }) };

  async run(): Promise<number> {
    const { args } = await this.parse(Tunnel);
    const { tunnel } = await import('../../workflows/tunnel.ts');
    const { stdin, stdout } = process;
    return await this.withContext({ onInterrupt: null }, async (context, progress) => {
      progress.clear();
      try {
        await tunnel({ name: args.name, stdin, stdout }, context);
        return 0;
      } catch (error) {
        if (!context.signal.aborted) throw error;
        return exitCodes.interrupted; // ssh ends its ProxyCommand by a signal when it is through: nothing to say
      }
    });
  }
}
