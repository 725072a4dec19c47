/** What oclif says about a call that makes no sense, in our words, with the word that was probably meant. */
import { nearest } from '../config/nearest.ts';
import { GpuRunError } from '../core/errors.ts';

/** What oclif's own errors carry beside their message. */
interface ParseError extends Error {
  /** Of the flags that don't exist, as typed. */
  readonly flags?: readonly string[];
  /** Words that nobody asked for, or definitions of those that are missing. */
  readonly args?: readonly (string | { readonly name: string; readonly description?: string })[];
  readonly parse?: { readonly input?: { readonly flags?: Readonly<Record<string, unknown>> } };
}

/** @param command the command's words, as in `templates show`; null: none was recognized */
export function explainParseError(error: ParseError, command: string | null): GpuRunError {
  const help = `gpu-run ${command === null ? '' : `${command} `}--help   shows what there is`;
  if (error.flags !== undefined) return unknownFlags(error.flags, Object.keys(error.parse?.input?.flags ?? {}), command, help);
  const unexpected = error.args?.filter((arg) => typeof arg === 'string') ?? [];
  if (unexpected.length > 0)
    return new GpuRunError('usage', `There is a word too many: ${unexpected.map((word) => `'${word}'`).join(', ')}.`, {
      hints: [...behindDashes(command), help],
    });
  const missing = error.args?.filter((arg) => typeof arg !== 'string') ?? [];
  if (missing.length > 0)
    return new GpuRunError('usage', `There is a word missing: ${missing.map(({ name }) => name.toUpperCase()).join(', ')}.`, { hints: [help] });
  return new GpuRunError('usage', plain(error.message), { hints: [help] });
}

/** @param words of the call, the command first */
export function explainUnknownCommand(words: readonly string[], commands: readonly string[]): GpuRunError {
  const [typed = '', ...rest] = words;
  const help = 'gpu-run --help   lists the commands';
  if (typed.startsWith('-')) {
    return new GpuRunError('usage', `The first word has to be a command, and '${typed}' is a flag.`, {
      hints: ['Flags go behind the command, as in: gpu-run status --json', help],
    });
  }
  if (commands.includes(typed)) {
    return new GpuRunError('usage', `There is a word too many: '${rest[0] ?? ''}'.`, { hints: [`gpu-run ${typed} --help   shows what there is`] });
  }
  const meant = nearest(typed, commands);
  return new GpuRunError('usage', `There is no command '${typed}'.`, { hints: [...(meant === null ? [] : [`Did you mean: gpu-run ${meant}`]), help] });
}

function unknownFlags(flags: readonly string[], known: readonly string[], command: string | null, help: string): GpuRunError {
  const typed = flags.map((flag) => flag.split('=', 1)[0] ?? flag);
  const meant = typed.flatMap((flag) => {
    const near = nearest(flag.replace(/^-+/, ''), known);
    return near === null || !flag.startsWith('--') ? [] : [`Did you mean: --${near}`];
  });
  return new GpuRunError('usage', `There is no flag ${typed.join(', ')}${command === null ? '' : ` of '${command}'`}.`, {
    hints: [...meant, ...behindDashes(command), help],
  });
}

/** The most common slip: `train python train.py`. */
function behindDashes(command: string | null): string[] {
  return command === 'train' || command === 'ssh' ? [`What runs on the machine goes behind --, as in: gpu-run ${command} -- python train.py`] : [];
}

function plain(message: string): string {
  const text = message
    // biome-ignore lint/suspicious/noControlCharactersInRegex: oclif colours parts of its messages
    .replace(/\u001b\[[0-9;]*m/g, '')
    .replace(/\s*See more help with --help\s*/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
