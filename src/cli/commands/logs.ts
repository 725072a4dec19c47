import { GpuRunError } from '../../core/errors.ts';
import { BaseCommand } from '../base-command.ts';
import { configFlags, jobArg, option, toggle } from '../flags.ts';
import { createJobOutput } from '../job-output.ts';
import { parseCount, parseOffset } from '../numbers.ts';
import { jobDocument } from '../render/documents.ts';
import { endLine } from '../render/job-view.ts';

export default class Logs extends BaseCommand {
  static override description = `Show what a job wrote, byte for byte; with --follow, until it has ended.
Works over lost connections, and from this computer's copy when the machine is gone.`;
  static override examples = [
    '<%= config.bin %> logs --follow',
    '<%= config.bin %> logs job-20261121-k3v9xq --tail 20',
    { description: 'What came behind the first 4096 bytes:', command: '<%= config.bin %> logs --after 4096' },
  ];
  static override args = { job: jobArg };
  static override flags = {
    ...configFlags,
    follow: toggle('follow', 'Wait for more until the job has ended', { char: 'f' }),
    after: option('after', 'Byte offset to start from; negative: so many bytes before the end', 'OFFSET'),
    tail: option('tail', 'Only the last N lines of what is there', 'N'),
  };

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Logs);
    if (flags.after !== undefined && flags.tail !== undefined) {
      throw new GpuRunError('usage', '--after and --tail exclude each other.', { hints: ['Take one of them away.'] });
    }
    const after = flags.after === undefined ? 0 : parseOffset(flags.after);
    const tailLines = flags.tail === undefined ? null : parseCount(flags.tail, '--tail');
    const [{ findJob }, { follow }] = await Promise.all([import('../../workflows/find.ts'), import('../../workflows/follow.ts')]);
    const machineName = args.job === undefined ? (await this.settings(flags)).name : '';
    const following = flags.follow ?? false;
    const text: string[] = [];
    const decoder = new TextDecoder();
    try {
      const job = await this.withContext({ onInterrupt: 'Interrupted. The job goes on.', endsWithStdout: true }, async (context, progress) => {
        const { id } = findJob({ jobId: args.job ?? null, machineName, unfinished: false }, context);
        const output = createJobOutput(this.screen, progress, { states: following });
        const whole = this.screen.mode.json && !following; // one document, as with every other command
        const onEvent: typeof output.onEvent = whole
          ? (event) => void (event.type === 'log' && text.push(decoder.decode(event.bytes, { stream: true })))
          : output.onEvent;
        const ended = await follow({ jobId: id, after, tailLines, follow: following }, context, onEvent);
        if (following || ended.state !== 'ended') await output.print(endLine(ended));
        return ended;
      });
      return this.finish({ job: jobDocument(job), ...(following ? {} : { log: text.join('') + decoder.decode() }) }, null);
    } catch (error) {
      if (this.screen.out.isClosed) return 0;
      throw error;
    }
  }
}
