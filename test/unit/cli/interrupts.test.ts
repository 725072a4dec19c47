import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { watchInterrupts } from '../../../src/cli/interrupts.ts';
import { leftBehind } from '../../../src/cli/left-behind.ts';
import { LeaveRunning, toGpuRunError } from '../../../src/core/errors.ts';
import { machineEntry } from './entries.ts';

function setUp() {
  const source = new EventEmitter();
  const calls: string[] = [];
  let at = 0;
  const interrupts = watchInterrupts({ source, onFirst: (signal) => void calls.push(signal), onSecond: () => void calls.push('leave'), now: () => at });
  return {
    source,
    calls,
    interrupts,
    send: (signal: string, afterMs: number) => {
      at += afterMs;
      source.emit(signal, signal);
    },
  };
}

test.each(['SIGINT', 'SIGTERM'])('the first %s asks the work to stop, the second leaves', (signal) => {
  const { interrupts, calls, send } = setUp();
  send(signal, 0);
  expect(interrupts.signal.aborted).toBe(true);
  expect(toGpuRunError(interrupts.signal.reason).code).toBe('interrupted');
  expect(calls).toEqual([signal]);
  send('SIGINT', 1_000);
  expect(calls).toEqual([signal, 'leave']);
});

test('a wrapper that passes on what the terminal sent to everybody does not count twice', () => {
  const { calls, send } = setUp();
  send('SIGINT', 0);
  send('SIGINT', 20);
  expect(calls).toEqual(['SIGINT']);
});

test('a closed terminal leaves jobs and machines running', () => {
  const { interrupts, send } = setUp();
  send('SIGHUP', 0);
  expect(interrupts.signal.reason).toBeInstanceOf(LeaveRunning);
});

test('nobody listens when the work is over', () => {
  const { interrupts, source } = setUp();
  interrupts[Symbol.dispose]();
  expect(source.eventNames()).toEqual([]);
});

test('who leaves at once learns what goes on, and how to end it', () => {
  const self = { pid: 4711, started: 'then' };
  const list = [machineEntry({ name: 'cats' }), machineEntry({ name: 'held', holder: self }), machineEntry({ name: 'other' })];
  const ledger = { list: () => list } as unknown as Parameters<typeof leftBehind>[1]['ledger'];
  expect(leftBehind('cats', { ledger, self })).toMatchObject({
    code: 'still-billing',
    message: expect.stringContaining("'cats', 'held'"),
    hints: [expect.stringContaining('gpu-run down cats held'), expect.any(String)],
  });
  expect(leftBehind(null, { ledger: { ...ledger, list: () => [] }, self }).code).toBe('interrupted');
});
