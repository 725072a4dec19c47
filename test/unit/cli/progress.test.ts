import { expect, test } from 'vitest';
import { createMeter } from '../../../src/cli/render/progress-meter.ts';
import { createAnimatedView, createPlainView, createQuietView } from '../../../src/cli/render/progress-view.ts';
import { createStyle } from '../../../src/cli/render/style.ts';
import type { Report } from '../../../src/core/reporter.ts';

const begin = (text: string): Report => ({ type: 'phase', phase: 'sync', status: 'begin', text });
const end = (text: string): Report => ({ type: 'phase', phase: 'sync', status: 'end', text });
const bytes = (done: number, total: number | null = 100e6): Report => ({ type: 'progress', phase: 'sync', done, total, unit: 'bytes' });

function setUp() {
  const written: string[] = [];
  let at = 0;
  let tick: (() => void) | null = null;
  const parts = {
    write: (text: string) => void written.push(text),
    style: createStyle(false),
    now: () => at,
    columns: () => 60,
    every: (_ms: number, call: () => void) => {
      tick = call;
      return () => {
        tick = null;
      };
    },
  };
  return {
    parts,
    written,
    /** One drawing later. */
    pass: (ms: number) => {
      at += ms;
      tick?.();
    },
    isTicking: () => tick !== null,
    /** What a terminal shows after all that was written. */
    screen: () => {
      const lines = [''];
      for (const piece of written.join('').split(/(\n|\r.\[2K)/)) {
        if (piece === '\n') lines.push('');
        else if (piece === '\r\u001b[2K') lines[lines.length - 1] = '';
        else lines[lines.length - 1] += piece;
      }
      return lines;
    },
  };
}

test('one line moves; what has ended stays', () => {
  const { parts, pass, screen, isTicking } = setUp();
  const view = createAnimatedView(parts);
  view.report(begin('Sending files'));
  expect(screen()).toEqual(['⠋ Sending files']);
  view.report(bytes(0));
  pass(2_000);
  view.report(bytes(50e6));
  pass(100);
  expect(screen()).toEqual(['⠹ Sending files  50MB of 100MB, 50%, 24MB/s']);
  view.report({ type: 'note', level: 'warn', text: 'one file was skipped' });
  expect(screen()).toEqual(['Warning: one file was skipped', expect.stringContaining('Sending files  50MB')]);
  view.report(end('Sent 12 files'));
  expect(screen()).toEqual(['Warning: one file was skipped', '✓ Sent 12 files', '']);
  expect(isTicking()).toBe(false);
});

test('many reports between two ticks are one drawing', () => {
  const { parts, pass, written } = setUp();
  const view = createAnimatedView(parts);
  view.report(begin('Sending files'));
  for (let done = 0; done < 1_000; done += 1) view.report(bytes(done));
  expect(written).toHaveLength(1);
  pass(100);
  expect(written).toHaveLength(2);
});

test('the line never wraps', () => {
  const { parts, screen } = setUp();
  createAnimatedView(parts).report(begin('x'.repeat(200)));
  expect(screen()[0]).toHaveLength(59);
});

test('it gives way, and comes back below an unfinished line of somebody else', () => {
  const { parts, written, screen, isTicking } = setUp();
  const view = createAnimatedView(parts);
  view.report(begin('Starting'));
  view.clear();
  expect(screen()).toEqual(['']);
  expect(isTicking()).toBe(false);
  written.push('epoch 1 ...');
  view.wrote(true);
  view.report({ type: 'link', state: 'reconnecting', text: 'Connection lost, connecting again' });
  expect(screen()).toEqual(['epoch 1 ...', '⠋ Connection lost, connecting again']);
  view.report({ type: 'link', state: 'connected', text: 'Connected again' });
  expect(screen()).toEqual(['epoch 1 ...', 'Connected again', '']);
});

test('texts from elsewhere cannot steer the terminal', () => {
  const { parts, written } = setUp();
  createAnimatedView(parts).report(begin('evil\u001b[2J'));
  createPlainView(parts).report(begin('evil\u001b[2J'));
  expect(written.join('')).not.toContain('\u001b[2J');
});

test('plain lines: each once, progress every five seconds', () => {
  const { parts, written, pass } = setUp();
  const view = createPlainView(parts);
  view.report(begin('Sending files'));
  view.report(begin('Sending files'));
  for (let second = 0; second <= 12; second += 1) {
    view.report(bytes(second * 5e6));
    pass(1_000);
  }
  view.report(end('Sent 12 files'));
  expect(written.join('')).toBe(
    [
      'Sending files ...',
      'Sending files: 25MB of 100MB, 25%, 5MB/s, 15s left',
      'Sending files: 50MB of 100MB, 50%, 5MB/s, 10s left',
      '✓ Sent 12 files',
      '',
    ].join('\n'),
  );
});

test('quiet: warnings alone', () => {
  const { parts, written } = setUp();
  const view = createQuietView(parts);
  for (const report of [begin('a'), bytes(1), end('b'), { type: 'note', level: 'info', text: 'c' }, { type: 'note', level: 'warn', text: 'd' }] as const)
    view.report(report);
  expect(written).toEqual(['Warning: d\n']);
});

test.each([
  [{ done: 5, total: null, unit: 'files' }, '5 files'],
  [{ done: 5, total: 20, unit: 'files' }, '5 of 20 files, 25%'],
  [{ done: 90, total: 600, unit: 'seconds' }, '1m 30s of 10m, 15%'],
  [{ done: 0, total: 0, unit: 'bytes' }, '0B of 0B'],
  [{ done: 30, total: 20, unit: 'bytes' }, '30B of 20B, 100%'],
] as const)('%j reads %s', (progress, text) => {
  expect(createMeter(() => 0).take({ type: 'progress', phase: 'sync', ...progress })()).toBe(text);
});
