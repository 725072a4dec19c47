/** Words and numbers as people read them. */
import { formatDuration } from '../../core/duration.ts';

/** C0 and C1 controls, DEL, and the marks that turn the direction of text: a name from elsewhere must not steer the terminal. */
const controls = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Text from elsewhere on one line of ours: control characters are shown instead of obeyed. */
export function harmless(text: string): string {
  return text.replace(controls, (char) => shownControls[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const shownControls: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\u001b': '\\e' };

/** Like `harmless`, but line breaks stay. */
export function harmlessLines(text: string): string[] {
  return text.split(/\r?\n/).map(harmless);
}

/** `1 file`, `3 files`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Two units at most: `3h 59m`, `2d 4h`, `12s`. */
export function span(seconds: number): string {
  const step = seconds >= 86_400 ? 3_600 : seconds >= 3_600 ? 60 : 1;
  return formatDuration(Math.round(seconds / step) * step);
}

/** `just now`, `12s ago`, `3h 5m ago`. */
export function ago(then: number, now: number): string {
  const seconds = Math.round((now - then) / 1000);
  return seconds <= 0 ? 'just now' : `${span(seconds)} ago`;
}

/** `2026-11-21 08:45 UTC`. */
export function moment(at: number): string {
  return `${dateOf(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** What lies beyond all dates, as the clock of a machine may, is the last one. */
export function dateOf(at: number): Date {
  return new Date(Math.min(latestDate, Math.max(-latestDate, at)));
}

/** ECMAScript knows no time further from 1970, in milliseconds. */
const latestDate = 8.64e15;

/** At most `width` characters; what is cut off is marked. */
export function cut(text: string, width: number): string {
  const chars = [...text];
  return chars.length <= width ? text : `${chars.slice(0, Math.max(0, width - 1)).join('')}…`;
}

/** Broken at spaces into lines of at most `width` characters; a word that is longer stays whole, so that it can be copied. */
export function wrap(text: string, width: number): string[] {
  if ([...text].length <= width) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && [...line].length + 1 + [...word].length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
