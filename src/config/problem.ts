/** What is wrong with the input, collected so that all of it can be shown at once. */
import { GpuRunError } from '../core/errors.ts';

export interface Problem {
  /** `gpu-run.yaml:4:13`, `--max-time` or `GPU_RUN_MAX_TIME`. */
  readonly where: string;
  /** What was found, what is expected, and an example. Never a secret's value. */
  readonly text: string;
}

/** @throws GpuRunError bad-input, with every problem on a line of its own, unless there is none. */
export function throwProblems(problems: readonly Problem[]): void {
  const [first] = problems;
  if (first === undefined) return;
  const lines = problems.map(lineOf);
  const message = lines.length === 1 ? `${lines[0]}` : [`There are ${lines.length} problems:`, ...lines.map((line) => `  ${line}`)].join('\n');
  throw new GpuRunError('bad-input', message, { hints: ['docs/config.md of gpu-run explains every key and flag, with examples.'] });
}

/** On one line, and without anything that a terminal would obey: what was found comes from a file that may be foreign. */
export function lineOf({ where, text }: Problem): string {
  return `${where}: ${text}`.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** The text of an error that a parser of ours threw, with what to do; anything else is a bug and goes on. */
export function textOf(error: unknown): string {
  if (error instanceof GpuRunError && error.code === 'bad-input') return [error.message, ...error.hints].join(' ');
  throw error;
}
