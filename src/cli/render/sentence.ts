/** Sentences with commands in them, on a narrow terminal: no command is ever broken, so that a copy of it works. */
import type { Style } from './style.ts';
import { harmlessLines, wrap } from './text.ts';

/** Stands for a space at which no line is broken; no text that was made harmless has it. */
const kept = '\u0001';

/** Between a command and what it does. */
const gap = / {3,}/;

/** Words in backticks; a flag with its value; `gpu-run` with its words up to where the sentence goes on. */
const typed = [/`[^`]*`/, /(?<=^| )--[a-z][a-z-]* (?:'[^']*'|[^\s,;']+)/, /gpu-run [a-z].*?(?=[,;)](?: |$)|\.(?: |$)| {3}|$)/];
const typedWords = anyOf(typed);
/** Of a hint also words in quotes or brackets, and whatever stands behind a colon and may be typed. */
const typedInHint = anyOf([...typed, /(?<=^|[ (])'[^']*'(?=[ ,;.)]|$)/, /\([^()]*\)/, /(?<=: )[a-z~/{'"].*$/]);

/** Begins like one, also with the name of a machine or a job; anything else may be typed, or be a place. */
const isSentence = /^(?:[A-Z][\p{L}']*|'[\w-]+'|job-\S+) /u;

function anyOf(patterns: readonly RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source }) => source).join('|'), 'g');
}

/** Lines without an indent, at most `width` characters each where no command is longer; the first is the first of the hint. */
export function hintLines(hint: string, width: number): string[] {
  return harmlessLines(hint).flatMap((line) => {
    if ([...line].length <= width) return [line];
    const [what = '', ...does] = line.split(gap);
    const safe = isSentence.test(what) ? what.replace(typedInHint, keep) : keep(what);
    return [safe, ...does].flatMap((part) => wrap(part, width)).map(restore);
  });
}

/** As `wrap`, of a sentence. */
function wrapSentence(text: string, width: number): string[] {
  return wrap(text.replace(typedWords, keep), width).map(restore);
}

/** As `wrapSentence` breaks it, with what the first line begins with before the others, and two spaces more. A command on a line of its own stays whole. */
export function paragraph(text: string, width: number): string {
  if ([...text].length <= width || /^ +gpu-run /.test(text)) return text;
  const indent = /^ */.exec(text)?.[0] ?? '';
  const [first = '', ...rest] = wrapSentence(text.trimStart(), width - indent.length - 2);
  return [`${indent}${first}`, ...rest.map((line) => `${indent}  ${line}`)].join('\n');
}

export function warningLine(text: string, { yellow }: Pick<Style, 'yellow'>, width: number): string {
  return paragraph(`Warning: ${text}`, width).replace('Warning:', () => yellow('Warning:'));
}

function keep(words: string): string {
  return words.replaceAll(' ', kept);
}

function restore(line: string): string {
  return line.replaceAll(kept, ' ');
}
