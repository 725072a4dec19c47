/** The whole terminal, for a while: another screen, keys one by one, and all as it was before however it ends. */

import type { EventEmitter } from 'node:events';
import { writeSync } from 'node:fs';
import type { ReadStream, WriteStream } from 'node:tty';
import { stripVTControlCharacters } from 'node:util';
import type { Size } from './render/top-frame.ts';
import { columnsOf } from './render/top-line.ts';

export interface Terminal extends Disposable {
  size(): Size;
  /** Writes what has changed since the last time. */
  draw(lines: readonly string[]): void;
  /** The next `draw` writes everything. */
  forget(): void;
}

export interface TerminalParts {
  readonly stdin: Pick<ReadStream, 'isTTY' | 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'>;
  readonly stdout: Pick<WriteStream, 'columns' | 'rows' | 'on' | 'off' | 'write'> & { readonly fd?: number };
  /** `process`: signals, and the end. */
  readonly source: EventEmitter;
  /** Stops this process and whoever started it in the same group, as Ctrl-Z does elsewhere. */
  readonly stopGroup: () => void;
  /** Stops this process alone. */
  readonly stopSelf: () => void;
  readonly onKey: (key: string) => void;
  /** Another size, or back from a stop: it has to be drawn. */
  readonly onChange: () => void;
}

/** The alternate screen; no cursor; long lines are cut. */
const enterScreen = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J';
const leaveScreen = '\u001b[?7h\u001b[?25h\u001b[?1049l';
/** A terminal that knows these shows a picture when it is whole; others ignore them. */
const beginPicture = '\u001b[?2026h';
const endPicture = '\u001b[?2026l';
const ctrlZ = '\u001a';

export function openTerminal({ stdin, stdout, source, stopGroup, stopSelf, onKey, onChange }: TerminalParts): Terminal {
  let shown: readonly string[] = [];
  let isEntered = false;
  const enter = () => {
    if (isEntered) return;
    isEntered = true;
    shown = [];
    if (stdin.isTTY) stdin.setRawMode(true);
    stdout.write(enterScreen);
  };
  /** At once, also from an exit. */
  const leave = () => {
    if (!isEntered) return;
    isEntered = false;
    try {
      if (stdin.isTTY) stdin.setRawMode(false);
      if (stdout.fd === undefined) stdout.write(leaveScreen);
      else writeSync(stdout.fd, leaveScreen);
    } catch {
      // the terminal is gone
    }
  };
  const onData = (data: Buffer) => {
    for (const key of keysIn(data.toString())) {
      if (key === ctrlZ) stopGroup();
      else onKey(key);
    }
  };
  const onStop = () => {
    leave();
    stopSelf();
  };
  const onContinue = () => {
    enter();
    onChange();
  };
  const onResize = () => {
    shown = [];
    stdout.write('\u001b[2J');
    onChange();
  };
  const watched = [
    ['exit', leave],
    ['uncaughtException', leave],
    ['SIGTSTP', onStop],
    ['SIGCONT', onContinue],
  ] as const;
  for (const [name, listener] of watched) source.prependListener(name, listener);
  stdout.on('resize', onResize);
  if (stdin.isTTY) {
    stdin.on('data', onData);
    stdin.resume();
  }
  const size = () => ({ columns: Math.max(20, stdout.columns || 80), rows: Math.max(5, stdout.rows || 24) });
  enter();
  return {
    size,
    draw: (lines) => {
      const { columns } = size();
      const changed = lines.flatMap((line, at) => (line === shown[at] ? [] : [`\u001b[${at + 1};1H${line}\u001b[0m${restOf(line, columns)}`]));
      if (!isEntered || changed.length === 0) return;
      shown = lines;
      stdout.write(`${beginPicture}${changed.join('')}${endPicture}`);
    },
    forget: () => {
      shown = [];
      if (isEntered) stdout.write('\u001b[2J');
    },
    [Symbol.dispose]: () => {
      leave();
      for (const [name, listener] of watched) source.off(name, listener);
      stdout.off('resize', onResize);
      if (stdin.isTTY) {
        stdin.off('data', onData);
        stdin.pause();
      }
    },
  };
}

/** Clears what was there before behind the line. Behind a line that fills the terminal, that would take its last character. */
function restOf(line: string, columns: number): string {
  return columnsOf(stripVTControlCharacters(line)) < columns ? '\u001b[K' : '';
}

/** One by one; keys that send a sequence (arrows, pasted text with marks) come as one that nobody knows. */
export function keysIn(text: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: keys are control characters
  return text.match(/\u001b(?:\[[0-9;?]*[A-Za-z~]|O[A-Za-z]|)|[^\u001b]/gu) ?? [];
}
