/**
 * What all commands share: screen, settings, context with signals, and the one way to end. The command line knows oclif and the
 * process; it calls workflows and prints what they return. It may import everything but the concrete providers, transports and ledger.
 */
import { Command } from '@oclif/core';
import type { MlflowTarget } from '../config/mlflow.ts';
import type { Settings } from '../config/settings.ts';
import type { GpuRunError } from '../core/errors.ts';
import type { RunContext } from '../workflows/context.ts';
import { exitCodes, type PassedOn } from './exit-codes.ts';
import { outputLost } from './file-errors.ts';
import { flagValues, globalFlags, type ParsedSettings } from './flags.ts';
import { watchInterrupts } from './interrupts.ts';
import { leftBehind } from './left-behind.ts';
import { outputMode } from './output-mode.ts';
import { envelope } from './render/documents.ts';
import { renderError } from './render/error.ts';
import type { View } from './render/machines.ts';
import { createAnimatedView, createPlainView, createQuietView, type ProgressView } from './render/progress-view.ts';
import { warningLine } from './render/sentence.ts';
import { openScreen, type Screen } from './screen.ts';
import { readToggleVariables } from './toggle-variables.ts';

export interface ContextChoices {
  /** The project's folder; default: the current one. */
  readonly folder?: string;
  /** The machine that costs money when the work is left in its middle. */
  readonly atStake?: string;
  /** The machine that is likely to be used again soon. */
  readonly linkTo?: string;
  /** Said at the first Ctrl-C; null: nothing. */
  readonly onInterrupt?: string | null;
  /** Without a reader of stdout there is nothing left to do (`logs --follow | head`). */
  readonly endsWithStdout?: boolean;
  /** Said, once, when stdout goes to a full disk: for work that goes on all the same. */
  readonly onOutputLost?: string;
}

const clearingUp = 'Interrupted: stopping and clearing up. Once more leaves at once.';

export abstract class BaseCommand extends Command {
  static override baseFlags = globalFlags;

  #screen: Screen | null = null;

  protected override async init(): Promise<void> {
    await super.init();
    readToggleVariables({ ...this.ctor.baseFlags, ...this.ctor.flags }, process.env);
  }

  /** Returns the exit code. */
  abstract override run(): Promise<number | PassedOn>;

  protected async settings(flags: ParsedSettings): Promise<Settings> {
    const { loadSettings } = await import('../config/load.ts');
    return loadSettings({ cwd: process.cwd(), flags: flagValues(flags), env: process.env });
  }

  /** Of the providers' blocks in the config, for commands that need none: a config that is not in order keeps them from nothing, unless it was named. */
  protected async providerOptions(flags: ParsedSettings): Promise<Readonly<Record<string, unknown>>> {
    try {
      return (await this.settings(flags)).need.providerOptions;
    } catch (error) {
      if (flags.config !== undefined) throw error;
      return {};
    }
  }

  /** Where metrics go as well. A config that is not in order keeps nobody from a log, unless it was named. */
  protected async mlflow(flags: ParsedSettings): Promise<MlflowTarget | null> {
    const { readMlflow } = await import('../config/mlflow.ts');
    try {
      return readMlflow((await this.settings(flags)).mlflow, process.env);
    } catch (error) {
      if (flags.config !== undefined) throw error;
      return null;
    }
  }

  /** Opens the state folder, works, and closes it again. Signals are listened to meanwhile. */
  protected async withContext<T>(choices: ContextChoices, work: (context: RunContext, progress: ProgressView) => Promise<T>): Promise<T> {
    const [{ openContext }, { homeFolder }] = await Promise.all([import('../compose.ts'), import('../config/load-home.ts')]);
    const { folder = process.cwd(), onInterrupt = clearingUp } = choices;
    const { screen } = this;
    const progress = progressView(screen);
    let opened: ReturnType<typeof openContext> | null = null;
    using interrupts = watchInterrupts({
      source: process,
      now: Date.now,
      onFirst: () => {
        progress.clear();
        if (onInterrupt !== null) void screen.err.write(`${onInterrupt}\n`);
      },
      onSecond: () => opened !== null && this.#leaveAtOnce(choices.atStake ?? null, opened.context),
    });
    if (choices.endsWithStdout === true) void screen.out.closed.then(() => interrupts.abort(new DOMException('Nobody reads any more.', 'AbortError')));
    const log = (line: string) => {
      progress.clear();
      void screen.err.write(`${line}\n`);
    };
    const { onOutputLost } = choices;
    if (onOutputLost !== undefined) void screen.out.closed.then(() => this.#warnOfLostOutput(onOutputLost, log));
    const logged = screen.mode.verbose ? { log } : {};
    opened = openContext({ home: await homeFolder(process.env), env: process.env, reporter: progress, signal: interrupts.signal, folder, ...logged });
    try {
      const result = await work(opened.context, progress);
      if (choices.linkTo !== undefined && opened.context.links !== undefined) (await import('../workflows/links.ts')).startLink(choices.linkTo, opened.context);
      return result;
    } finally {
      progress.clear();
      opened.close();
    }
  }

  /** The last act: the document or the text, and the exit code. With `failure` there is a result, but not a good one. */
  protected finish(keys: object, text: string | null, failure: GpuRunError | null = null): number {
    const { screen } = this;
    if (!screen.mode.json && text !== null) void screen.out.write(`${text}\n`);
    if (failure !== null) void screen.err.write(`${renderError(failure, screen.errStyle, screen.mode.verbose, screen.err.width())}\n`);
    if (screen.mode.json) void screen.out.write(`${JSON.stringify(envelope(this.commandName, keys, failure))}\n`);
    return failure === null ? 0 : exitCodes[failure.code];
  }

  protected get screen(): Screen {
    this.#screen ??= openScreen(outputMode(this.argv, process.env), process);
    return this.#screen;
  }

  protected get view(): View {
    const { out, outStyle } = this.screen;
    return { style: outStyle, now: Date.now(), width: out.width() };
  }

  private get commandName(): string {
    return (this.id ?? '').replaceAll(':', ' ');
  }

  #warnOfLostOutput(onOutputLost: string, log: (line: string) => void): void {
    const { out, err, errStyle } = this.screen;
    if (out.failure === null) return;
    log(warningLine(`${outputLost(out.failure).message} ${onOutputLost}`, errStyle, err.width()));
  }

  #leaveAtOnce(name: string | null, context: RunContext): void {
    process.exit(this.finish({}, null, leftBehind(name, context)));
  }
}

function progressView({ mode, animated, err, errStyle: style }: Screen): ProgressView {
  const parts = { write: (text: string) => void err.write(text), style, now: Date.now, width: err.width };
  if (mode.quiet) return createQuietView(parts);
  if (!animated) return createPlainView(parts);
  return createAnimatedView({ ...parts, columns: err.columns, every: repeat });
}

function repeat(ms: number, tick: () => void): () => void {
  const timer = setInterval(tick, ms).unref();
  return () => clearInterval(timer);
}
