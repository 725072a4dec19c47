import { GpuRunError, toGpuRunError } from '../../core/errors.ts';
import { BaseCommand } from '../base-command.ts';
import { configFlags, jobArg, logFlags, option, toggle } from '../flags.ts';
import { createJobOutput } from '../job-output.ts';
import { parseCount, parseOffset, parseSince } from '../numbers.ts';
import { jobDocument } from '../render/documents.ts';
import { endLine } from '../render/job-view.ts';
import { createWhole } from '../render/whole-log.ts';

export default class Logs extends BaseCommand {
  static override description = `Show what a job wrote, byte for byte; with --follow, until it has ended.
Works over lost connections, and from this computer's copy when the machine is gone.`;
  static override examples = [
    '<%= config.bin %> logs --follow',
    '<%= config.bin %> logs job-20261121-k3v9xq --tail 20',
    '<%= config.bin %> logs --since 10m --timestamps',
    { description: 'What came behind the first 4096 bytes:', command: '<%= config.bin %> logs --after 4096' },
  ];
  static override args = { job: jobArg };
  static override flags = {
    ...configFlags,
    follow: toggle('follow', 'Wait for more until the job has ended', { char: 'f' }),
    after: option(
      'after',
      'Byte offset to start from; negative: so many bytes before the end. Of a job that was started with --split: stdout alone, or with --stderr that',
      'OFFSET',
    ),
    tail: option('tail', 'Only the last N lines of what is there', 'N'),
    since: option('since', 'Only lines that began within this time back from now (by the clock of this computer), or at this moment or later', '10m'),
    stdout: toggle('stdout', 'Only stdout, of a job that was started with --split'),
    stderr: toggle('stderr', 'Only stderr, of a job that was started with --split'),
    ...logFlags,
  };

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Logs);
    exclude(flags, 'after', 'tail');
    exclude(flags, 'after', 'since');
    exclude(flags, 'stdout', 'stderr');
    const after = flags.after === undefined ? 0 : parseOffset(flags.after);
    const tailLines = flags.tail === undefined ? null : parseCount(flags.tail, '--tail');
    const sinceMs = flags.since === undefined ? null : parseSince(flags.since, Date.now());
    const streams = flags.stderr ? 'err' : flags.stdout || after !== 0 ? 'out' : 'both';
    const timestamps = flags.timestamps ?? false;
    const [{ findJob }, { follow }] = await Promise.all([import('../../workflows/find.ts'), import('../../workflows/follow.ts')]);
    const machineName = args.job === undefined ? (await this.settings(flags)).name : '';
    const following = flags.follow ?? false;
    const mlflow = following ? await this.mlflow(flags) : null;
    const whole = createWhole();
    try {
      const job = await this.withContext({ onInterrupt: null, endsWithStdout: true }, async (context, progress) => {
        const { id } = findJob({ jobId: args.job ?? null, machineName, unfinished: false }, context);
        const output = createJobOutput(this.screen, progress, { states: following, timestamps, fold: flags.fold });
        const oneDocument = this.screen.mode.json && !following; // as with every other command
        const onEvent: typeof output.onEvent = oneDocument
          ? whole.onEvent
          : (event) => output.onEvent(event.type === 'log' && streams === 'err' && !this.screen.mode.json ? { ...event, stream: 'out' } : event);
        const input = { jobId: id, after, tailLines, sinceMs, streams, stamped: timestamps, follow: following } as const;
        const ended = await follow(input, { ...context, mlflow }, onEvent);
        if (following || ended.state !== 'ended' || ended.startedAt === null) await output.print(endLine(ended));
        return ended;
      });
      return this.finish({ job: jobDocument(job), ...(following ? {} : whole.document()) }, null);
    } catch (error) {
      if (this.screen.out.isClosed) return 0;
      throw explained(error, after);
    }
  }
}

function explained(thrown: unknown, after: number): unknown {
  const error = toGpuRunError(thrown);
  if (error.code === 'interrupted') return new GpuRunError('interrupted', 'Interrupted; the job goes on.', { cause: thrown });
  if (error.code !== 'bad-input' || after <= 0 || error.hints.length > 0) return thrown;
  return new GpuRunError(error.code, error.message, { hints: ['gpu-run logs --after=-4096   shows the last 4096 bytes'], cause: thrown });
}

function exclude<Name extends string>(flags: Readonly<Partial<Record<Name, unknown>>>, one: Name, other: Name): void {
  if (flags[one] === undefined || flags[other] === undefined) return;
  throw new GpuRunError('usage', `--${one} and --${other} exclude each other.`, { hints: ['Take one of them away.'] });
}
