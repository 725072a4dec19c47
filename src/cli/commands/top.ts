import { BaseCommand } from '../base-command.ts';
import { configFlags, nameArg, toggle } from '../flags.ts';

/** Where no terminal says how large it is. */
const plainSize = { columns: 100, rows: 40 };

export default class Top extends BaseCommand {
  static override description = `Show what a machine does now: GPUs, host, training, money, end of the log.
Keys: q quit, l more log, p pause, c cancel the job, tab or 1-9 another job, ? help. Leaving stops nothing.`;
  static override examples = [
    '<%= config.bin %> top',
    '<%= config.bin %> top cats --once',
    { description: 'For scripts:', command: '<%= config.bin %> top --once --json' },
  ];
  static override args = { name: nameArg };
  static override flags = { ...configFlags, once: toggle('once', 'One picture, then the end; without a terminal it is always so') };

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Top);
    const name = args.name ?? (await this.settings(flags)).name;
    const [{ findMachine }, { lookOnce, writeEvents }, { topLook }] = await Promise.all([
      import('../../workflows/find.ts'),
      import('../top-once.ts'),
      import('../top-look.ts'),
    ]);
    const { mode, out, outStyle } = this.screen;
    const look = topLook(outStyle, process.env);
    if (mode.json && !flags.once) {
      await this.withContext({ onInterrupt: null, endsWithStdout: true }, (context) => writeEvents(findMachine(name, context), context, out.write)).catch(
        (error: unknown) => {
          if (!out.isClosed) throw error;
        },
      );
      return this.finish({}, null);
    }
    if (!flags.once && out.isTerminal && process.env['TERM'] !== 'dumb') {
      const { runLive } = await import('../top-live.ts');
      const signals = { stopGroup: () => void process.kill(0, 'SIGTSTP'), stopSelf: () => void process.kill(process.pid, 'SIGSTOP') };
      const parts = { stdin: process.stdin, stdout: process.stdout, source: process, look, ...signals };
      await this.withContext({ onInterrupt: null }, (context) => runLive(findMachine(name, context), context, parts));
      return 0;
    }
    const view = await this.withContext({}, (context) => lookOnce(findMachine(name, context), context));
    const [{ topDocument }, { calm, renderTop }] = await Promise.all([import('../render/top-document.ts'), import('../render/top-frame.ts')]);
    const size = out.isTerminal ? { columns: out.columns(), rows: Math.max(20, (process.stdout.rows || plainSize.rows) - 1) } : plainSize;
    const lines = renderTop(view, Date.now(), size, look, { ...calm, still: true });
    return this.finish(topDocument(view), lines.join('\n').trimEnd());
  }
}
