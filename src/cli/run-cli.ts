/** One call of the command line: words in, exit code out. Everything that goes wrong is shown here, in one place. */
import { type Interfaces, run, settings } from '@oclif/core';
import { GpuRunError } from '../core/errors.ts';
import { exitCodes, type PassedOn } from './exit-codes.ts';
import { messagesLost, outputLost } from './file-errors.ts';
import { outputMode, splitCommand } from './output-mode.ts';
import { envelope } from './render/documents.ts';
import { renderError } from './render/error.ts';
import { warningLine } from './render/sentence.ts';
import { openScreen, type Screen } from './screen.ts';

/** @param load where oclif finds the package and its command map */
export async function runCli(argv: readonly string[], load: Interfaces.LoadOptions): Promise<number> {
  settings.performanceEnabled = false;
  // oclif's own listener throws for all but EPIPE, and a closed terminal gives EIO.
  process.stdout.removeAllListeners('error');
  const screen = openScreen(outputMode(argv, process.env), process);
  // Also for a rejection that nobody waited for: whatever it says, it is a bug of ours, and its stack tells where.
  process.on('uncaughtException', (thrown) => {
    show(new GpuRunError('internal', thrown.message, { cause: thrown }), null, screen);
    process.exit(exitCodes.internal);
  });
  const ended = await answer(argv, load, screen);
  await screen.err.flush();
  const lost = screen.mode.json || screen.err.failure === null ? null : messagesLost(screen.err.failure); // a document says all that counts
  if (lost !== null) await warnBeside(lost, screen);
  if (typeof ended === 'object') return ended.passedOn;
  return lost === null ? ended : ended || exitCodes[lost.code];
}

/** Where somebody looks at stdout: in a file or a pipe it would be taken for a part of the output. */
async function warnBeside({ message }: GpuRunError, { out, outStyle }: Screen): Promise<void> {
  if (!out.isTerminal) return;
  void out.write(`${warningLine(message, outStyle, out.width())}\n`);
  await out.flush();
}

async function answer(argv: readonly string[], load: Interfaces.LoadOptions, screen: Screen): Promise<number | PassedOn> {
  const { out } = screen;
  try {
    await refuseValuedToggles(splitCommand(argv).own);
    const code = await (run([...argv], load) as Promise<number | PassedOn | undefined>);
    await out.flush();
    if (typeof code === 'object') return code;
    if (out.failure !== null && !code) throw out.failure;
    return code ?? 0; // help and version return nothing
  } catch (thrown) {
    const [{ commandOf, reportedError }, { commands }] = await Promise.all([import('./reported-error.ts'), import('./commands.ts')]);
    const call = { words: splitCommand(argv).own, commands: Object.keys(commands).map((id) => id.replaceAll(':', ' ')) };
    const error = out.failure !== null && thrown === out.failure ? outputLost(out.failure) : reportedError(thrown, call);
    show(error, commandOf(call.words, call.commands), screen);
    await out.flush();
    return exitCodes[error.code];
  }
}

/** Looked at only where a flag has a value behind `=`. @throws GpuRunError `usage` */
async function refuseValuedToggles(words: readonly string[]): Promise<void> {
  if (!words.some((word) => /^--[a-z-]+=/.test(word))) return;
  const [{ valuedToggle }, { commandOf }, { commands }] = await Promise.all([
    import('./valued-toggle.ts'),
    import('./reported-error.ts'),
    import('./commands.ts'),
  ]);
  const id = commandOf(
    words,
    Object.keys(commands).map((each) => each.replaceAll(':', ' ')),
  );
  const known: Readonly<Record<string, Parameters<typeof valuedToggle>[1]>> = commands;
  const wrong = valuedToggle(words, known[(id ?? '').replaceAll(' ', ':')]);
  if (wrong !== null) throw wrong;
}

function show(error: GpuRunError, command: string | null, { mode, out, err, errStyle }: Screen): void {
  void err.write(`${renderError(error, errStyle, mode.verbose, err.width())}\n`);
  if (mode.json) void out.write(`${JSON.stringify(envelope(command, {}, error))}\n`);
}
