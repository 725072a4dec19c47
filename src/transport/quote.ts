/** The one place where a shell string is made from words. May import core. */
import { GpuRunError } from '../core/errors.ts';

/**
 * The argument vector as one line for a POSIX shell: the words reach the program unchanged, whatever they hold.
 * @throws GpuRunError `bad-input` for an empty vector and for words that no program can be given (NUL, lone surrogates).
 */
export function quoteArgv(argv: readonly string[]): string {
  if (argv.length === 0) throw new GpuRunError('bad-input', 'There is no command to run: the argument vector is empty.');
  return argv.map(quoteWord).join(' ');
}

/** The same for people to read and copy: only words that need it are quoted. @throws as `quoteArgv` */
export function shownArgv(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+:,./-]+$/.test(word) ? word : quoteWord(word))).join(' ');
}

function quoteWord(word: string): string {
  if (word.includes('\0')) throw new GpuRunError('bad-input', `${JSON.stringify(word)} can't be an argument: it holds a NUL byte.`);
  if (!word.isWellFormed()) throw new GpuRunError('bad-input', `${JSON.stringify(word)} can't be an argument: it isn't valid Unicode.`);
  // Within single quotes a shell takes everything literally but the single quote itself.
  return `'${word.replaceAll("'", "'\\''")}'`;
}
