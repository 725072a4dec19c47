/** Whatever was thrown, as the error that is shown. */
import { Errors } from '@oclif/core';
import { type ErrorCode, GpuRunError, systemErrorCode, toGpuRunError } from '../core/errors.ts';
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

const fileErrors: Readonly<Record<string, { readonly code: ErrorCode; readonly why: string }>> = {
  EACCES: { code: 'not-allowed', why: 'permission is denied' },
  EPERM: { code: 'not-allowed', why: 'that is not permitted' },
  EROFS: { code: 'not-allowed', why: 'the file system is read-only' },
  ENOENT: { code: 'sync', why: 'it does not exist' },
  EEXIST: { code: 'sync', why: 'there is something else in its place' },
  ENOTDIR: { code: 'sync', why: 'a part of the path is a file, not a folder' },
  EISDIR: { code: 'sync', why: 'it is a folder, not a file' },
  EMFILE: { code: 'sync', why: 'too many files are open' },
  ENOSPC: { code: 'disk-full', why: 'the disk is full' },
  EDQUOT: { code: 'disk-full', why: 'the disk quota is used up' },
};

/** A file of the user that can't be read or written is no bug of ours. */
function fileError(thrown: unknown): GpuRunError | null {
  const code = systemErrorCode(thrown);
  if (code === undefined || !(thrown instanceof Error) || !('path' in thrown)) return null;
  const known = fileErrors[code];
  return known === undefined ? null : new GpuRunError(known.code, `${thrown.path} can't be used: ${known.why} (${code}).`, { cause: thrown });
}
