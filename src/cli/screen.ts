/** What a call writes to, and how it may look there. */
import type { OutputMode } from './output-mode.ts';
import { createStyle, type Style } from './render/style.ts';
import { type OutputStream, openSink, type Sink } from './sink.ts';

export interface Screen {
  readonly mode: OutputMode;
  /** Results, and the bytes of the job's log. */
  readonly out: Sink;
  /** Progress, notes, errors. */
  readonly err: Sink;
  readonly outStyle: Style;
  readonly errStyle: Style;
  /** A line on `err` may be drawn over and over. */
  readonly animated: boolean;
  /** What we write is kept as a log that nobody watches. */
  readonly continuousIntegration: boolean;
}

export interface ScreenParts {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function openScreen(mode: OutputMode, { stdout, stderr, env }: ScreenParts): Screen {
  const out = openSink(stdout);
  const err = openSink(stderr);
  const plain = isSet(env['NO_COLOR']) || env['TERM'] === 'dumb';
  return {
    mode,
    out,
    err,
    outStyle: createStyle(out.isTerminal && !plain),
    errStyle: createStyle(err.isTerminal && !plain),
    animated: err.isTerminal && !plain && !isContinuousIntegration(env),
    continuousIntegration: isContinuousIntegration(env),
  };
}

export function isContinuousIntegration(env: Readonly<Record<string, string | undefined>>): boolean {
  return isSet(env['CI']) && env['CI'] !== 'false' && env['CI'] !== '0';
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}
