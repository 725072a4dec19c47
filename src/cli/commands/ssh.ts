import { GpuRunError } from '../../core/errors.ts';
import { BaseCommand } from '../base-command.ts';
import { configFlags, nameArg } from '../flags.ts';
import { splitCommand } from '../output-mode.ts';

export default class Ssh extends BaseCommand {
  static override description = `Open a shell on a machine, or run one command there.
The exit code is the command's own. At a terminal the command gets one, too; otherwise its streams are passed on as they are.`;
  static override usage = 'ssh [NAME] [FLAGS] [-- COMMAND...]';
  static override examples = ['<%= config.bin %> ssh', '<%= config.bin %> ssh cats -- nvidia-smi', 'tar c data | <%= config.bin %> ssh cats -- tar x'];
  static override args = { name: nameArg };
  static override flags = configFlags;

  async run(): Promise<number> {
    const { own, command } = splitCommand(this.argv);
    const { args, flags } = await this.parse(Ssh, own);
    if (command?.length === 0) throw new GpuRunError('usage', 'There is no command behind --.', { hints: ['Leave -- away for a shell.'] });
    const { shell } = await import('../../workflows/shell.ts');
    const name = args.name ?? (await this.settings(flags)).name;
    const { stdin, stdout, stderr, env } = process;
    const { json } = this.screen.mode; // stdout is the document's then
    const terminal = stdin.isTTY && stdout.isTTY && stderr.isTTY ? { stdin, stdout, stderr, term: env['TERM'] ?? 'xterm' } : null;
    const exit = await this.withContext({ onInterrupt: 'Interrupted.' }, (context, progress) => {
      progress.clear();
      return shell({ name, argv: command, terminal, stdin, stdout: json ? stderr : stdout, stderr }, context);
    });
    return this.finish({ exit }, null) || exit.code;
  }
}
