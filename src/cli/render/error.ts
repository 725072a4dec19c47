/** Errors as people read them: what happened and why, then what to do. */
import type { GpuRunError } from '../../core/errors.ts';
import { renderAttempts } from './attempts.ts';
import { hintLines } from './sentence.ts';
import type { Style } from './style.ts';
import { harmlessLines, wrap } from './text.ts';

const label = 'Error: ';
const arrow = '  -> ';

/** `verbose` adds the causes. A stack is shown for our own bugs alone. `width`: of the terminal. */
export function renderError(error: GpuRunError, style: Style, verbose: boolean, width = Number.POSITIVE_INFINITY): string {
  const said = harmlessLines(error.message === '' ? `It failed without a message (${error.code}).` : error.message);
  const [first = '', ...rest] = said.flatMap((line, index) => wrap(line, width - (index === 0 ? label.length : 2)));
  const [, ...causes] = messageChain(error);
  return [
    `${style.red(label.trim())} ${first}`,
    ...rest.map((line) => `  ${line}`),
    ...(verbose ? causes.flatMap((cause) => harmlessLines(cause).map((line, index) => style.dim(index === 0 ? `  because: ${line}` : `    ${line}`))) : []),
    ...attemptLines(error, style, width),
    ...error.hints.flatMap((hint) => hintLines(hint, width - arrow.length).map((line, index) => `${index === 0 ? arrow : ' '.repeat(arrow.length)}${line}`)),
    ...(error.code === 'internal' ? ['This is a bug in gpu-run. Please report it, with these lines:', ...stackOf(error).map((line) => style.dim(line))] : []),
  ].join('\n');
}

/** One attempt is told by the message; whoever interrupts does not ask what was tried. */
function attemptLines({ code, attempts }: GpuRunError, style: Style, width: number): string[] {
  if (attempts.length < 2 || code === 'interrupted') return [];
  return renderAttempts(attempts, style, width - 2)
    .split('\n')
    .map((line) => `  ${line}`);
}

/** The messages of an error and its causes, outermost first; a cause that only repeats the message above it is left out. */
export function messageChain(error: Error): string[] {
  const messages: string[] = [];
  const seen = new Set<unknown>();
  for (let at: unknown = error; at !== undefined && at !== null && !seen.has(at); at = at instanceof Error ? at.cause : undefined) {
    seen.add(at);
    const message = at instanceof Error ? at.message : String(at);
    if (message !== '' && message !== messages.at(-1)) messages.push(message);
  }
  return messages;
}

function stackOf(error: GpuRunError): string[] {
  const thrown = error.cause instanceof Error ? error.cause : error;
  return harmlessLines(thrown.stack ?? thrown.message);
}
