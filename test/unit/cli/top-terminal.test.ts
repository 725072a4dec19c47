import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { keysIn, openTerminal, type TerminalParts } from '../../../src/cli/top-terminal.ts';

/** A terminal that keeps what is written to it. */
function fakeTerminal() {
  let written = '';
  const calls: string[] = [];
  const stdin = Object.assign(new EventEmitter(), {
    isTTY: true,
    setRawMode: (raw: boolean) => calls.push(raw ? 'raw' : 'cooked'),
    resume: () => {},
    pause: () => {},
  });
  const write = (text: string) => {
    written += text;
    return true;
  };
  const stdout = Object.assign(new EventEmitter(), { columns: 30, rows: 6, write });
  const source = new EventEmitter();
  const keys: string[] = [];
  const parts = {
    stdin,
    stdout,
    source,
    stopGroup: () => calls.push('stop group'),
    stopSelf: () => calls.push('stop self'),
    onKey: (key: string) => void keys.push(key),
    onChange: () => calls.push('change'),
  } as unknown as TerminalParts;
  const take = () => {
    const text = written;
    written = '';
    return text;
  };
  return { parts, stdin, stdout, source, keys, calls, take };
}

const entered = expect.stringMatching(/^.\[\?1049h.\[\?25l/);
const left = expect.stringMatching(/.\[\?25h.\[\?1049l$/);

test('another screen and raw keys, and all as before at the end', () => {
  const { parts, calls, take, source, stdin, stdout } = fakeTerminal();
  const terminal = openTerminal(parts);
  expect(take()).toEqual(entered);
  expect(terminal.size()).toEqual({ columns: 30, rows: 6 });
  terminal[Symbol.dispose]();
  terminal[Symbol.dispose]();
  expect(take()).toEqual(left);
  expect(calls).toEqual(['raw', 'cooked']);
  for (const emitter of [source, stdin, stdout]) expect(emitter.eventNames()).toEqual([]);
});

test('only lines that have changed are written, each with the rest of its line cleared unless it is full', () => {
  const { parts, take, stdout } = fakeTerminal();
  using terminal = openTerminal(parts);
  take();
  terminal.draw(['one', 'x'.repeat(30)]);
  expect(take()).toContain(`\u001b[1;1Hone\u001b[0m\u001b[K\u001b[2;1H${'x'.repeat(30)}\u001b[0m\u001b[?2026l`);
  terminal.draw(['one', 'two']);
  expect(take()).toBe('\u001b[?2026h\u001b[2;1Htwo\u001b[0m\u001b[K\u001b[?2026l');
  terminal.draw(['one', 'two']);
  expect(take()).toBe('');
  stdout.emit('resize');
  terminal.draw(['one', 'two']);
  expect(take()).toMatch(/^.\[2J.*one.*two/);
});

test.each(['exit', 'uncaughtException'])('%s: left at once, and only once', (name) => {
  const { parts, source, take } = fakeTerminal();
  using terminal = openTerminal(parts);
  take();
  source.emit(name);
  expect(take()).toEqual(left);
  source.emit('exit');
  terminal.draw(['nothing']);
  expect(take()).toBe('');
});

test('Ctrl-Z stops everybody, and the terminal is free until it goes on', () => {
  const { parts, stdin, source, calls, keys, take } = fakeTerminal();
  using _ = openTerminal(parts);
  take();
  stdin.emit('data', Buffer.from('\u001a'));
  expect(calls).toEqual(['raw', 'stop group']);
  source.emit('SIGTSTP');
  expect(take()).toEqual(left);
  source.emit('SIGCONT');
  expect(take()).toEqual(entered);
  expect(calls).toEqual(['raw', 'stop group', 'cooked', 'stop self', 'raw', 'change']);
  expect(keys).toEqual([]);
});

test('keys one by one; what sends a sequence is no letter', () => {
  expect(keysIn('q')).toEqual(['q']);
  expect(keysIn('lq')).toEqual(['l', 'q']);
  expect(keysIn('\u001b[A\u001bOPc\u001b[15~\u001b')).toEqual(['\u001b[A', '\u001bOP', 'c', '\u001b[15~', '\u001b']);
});
