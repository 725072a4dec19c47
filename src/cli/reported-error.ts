/** Whatever was thrown, as the error that is shown. */
import { Errors } from '@oclif/core';
import { GpuRunError, systemErrorCode, toGpuRunError } from '../core/errors.ts';
import { fileErrors } from './file-errors.ts';
import { explainParseError, explainUnknownCommand } from './usage-error.ts';

export interface Call {
  /** The words of the call up to `--`. */
  readonly words: readonly string[];
  readonly commands: readonly string[];
}

export function reportedError(thrown: unknown, { words, commands }: Call): GpuRunError {
  if (thrown instanceof GpuRunError) return thrown;
  if (thrown instanceof Errors.CLIError) {
    return /^command .* not found\.?$/is.test(thrown.message) ? explainUnknownCommand(words, commands) : explainParseError(thrown, commandOf(words, commands));
  }
  return fileError(thrown) ?? toGpuRunError(thrown);
}

/** The longest run of first words that is a command: `templates show`. */
export function commandOf(words: readonly string[], commands: readonly string[]): string | null {
  const two = words.slice(0, 2).join(' ');
  if (commands.includes(two)) return two;
  return commands.find((command) => command === words[0]) ?? null;
}

/** A file of the user that can't be read or written is no bug of ours. */
function fileError(thrown: unknown): GpuRunError | null {
  const code = systemErrorCode(thrown);
  if (code === undefined || !(thrown instanceof Error) || !('path' in thrown)) return null;
  const known = fileErrors[code];
  return known === undefined ? null : new GpuRunError(known.code, `${thrown.path} can't be used: ${known.why} (${code}).`, { cause: thrown });
}
