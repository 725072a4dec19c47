import { expect, test } from 'vitest';
import { createFold } from '../../../src/cli/render/fold-bars.ts';
import { createJobView, endLine } from '../../../src/cli/render/job-view.ts';
import { createEventWriter } from '../../../src/cli/render/json-events.ts';
import type { LineFilter } from '../../../src/cli/render/log-lines.ts';
import { createStyle } from '../../../src/cli/render/style.ts';
import type { JobEvent } from '../../../src/workflows/job-event.ts';
import { jobEntry, noon } from './entries.ts';

const log = (text: string | Uint8Array, offset = 0): JobEvent => ({ type: 'log', offset, bytes: typeof text === 'string' ? Buffer.from(text) : text });
const state = (name: 'queued' | 'setup' | 'running'): JobEvent => ({ type: 'state', at: noon, state: name, end: null });

function setUp(choices: {
  readonly sameTerminal: boolean;
  readonly ownLines?: boolean;
  readonly states: boolean;
  readonly attempts?: boolean;
  readonly width?: () => number;
  readonly filter?: () => LineFilter;
}) {
  const out: Uint8Array[] = [];
  const err: string[] = [];
  const gaveWay: string[] = [];
  const view = createJobView({
    out: async (bytes) => void out.push(bytes),
    err: async (data) => void err.push(typeof data === 'string' ? data : Buffer.from(data).toString()),
    style: createStyle(false),
    progress: { clear: () => void gaveWay.push('clear'), wrote: (midLine) => void gaveWay.push(midLine ? 'mid line' : 'line end') },
    ...choices,
  });
  return { view, gaveWay, stdout: () => Buffer.concat(out), stderr: () => err.join('') };
}

test('the log reaches stdout byte for byte, whatever it holds', async () => {
  const { view, stdout, stderr } = setUp({ sameTerminal: false, states: true });
  const bytes = Uint8Array.from({ length: 1_024 }, (_, index) => index % 256);
  await view.onEvent(log(bytes));
  await view.onEvent({ type: 'metric', at: noon, values: { loss: 1 }, step: null, epoch: null, source: 'json' });
  await view.onEvent(log('no newline at the end', 1_024));
  await view.print('done');
  expect(stdout()).toEqual(Buffer.concat([bytes, Buffer.from('no newline at the end')]));
  expect(stderr()).toBe('done\n');
});

test('on a terminal, lines of ours are broken between words; those of the log never', async () => {
  const { view, stdout, stderr } = setUp({ sameTerminal: true, states: true, width: () => 24 });
  await view.onEvent(log('the log is longer than the terminal is wide\n'));
  await view.onEvent({ type: 'note', at: noon, level: 'warn', text: 'the server refuses them' });
  await view.print('job-1 ended with exit code 0');
  expect(stdout().toString()).toBe('the log is longer than the terminal is wide\n');
  expect(stderr()).toBe('Warning: the server\n  refuses them\njob-1 ended with exit\n  code 0\n');
});

test('where lines are marked, one of stdout begins below a bar of stderr that still stands, and not behind it', async () => {
  for (const ownLines of [true, false]) {
    const { view, stderr, stdout } = setUp({ sameTerminal: true, states: false, ownLines });
    await view.onEvent({ type: 'log', stream: 'err', offset: 0, bytes: Buffer.from('50%') });
    await view.onEvent(log('epoch 1\n'));
    expect(stderr()).toBe(ownLines ? '50%\n' : '50%');
    expect(stdout().toString()).toBe('epoch 1\n');
  }
});

test('a job that is started again says in which attempt it runs', async () => {
  const { view, stderr } = setUp({ sameTerminal: false, states: true });
  for (const name of ['queued', 'running', 'queued', 'setup', 'running'] as const) await view.onEvent(state(name));
  expect(stderr()).toBe('[running]\n[running setup, attempt 2]\n[running, attempt 2]\n');
});

test('without states it is said where the log goes on with another attempt, unless nothing was shown before', async () => {
  for (const [attempts, said] of [
    [true, '[attempt 2]\n\n[attempt 3]\n'],
    [false, ''],
  ] as const) {
    const { view, stdout, stderr } = setUp({ sameTerminal: true, states: false, attempts, filter: () => createFold(() => 0) });
    await view.onEvent(state('queued'));
    await view.onEvent(log('50%\r60%'));
    await view.onEvent(state('queued'));
    await view.onEvent(state('running'));
    expect(stdout().toString()).toBe('60%\n');
    await view.onEvent(log('two\nunfinished'));
    await view.onEvent(state('queued'));
    await view.onEvent(log('three\n'));
    expect(stderr()).toBe(said);
    expect(stdout().toString()).toMatch(/^60%\ntwo\nunfinished(?=\n?three)/);
  }
  const { view, stderr } = setUp({ sameTerminal: true, states: false, attempts: true });
  for (const name of ['queued', 'running', 'queued', 'running'] as const) await view.onEvent(state(name));
  expect(stderr()).toBe('');
});

test('stderr of its own goes to stderr, and what is gone is said there', async () => {
  const { view, stdout, stderr } = setUp({ sameTerminal: false, states: true });
  await view.onEvent(log('out\n'));
  await view.onEvent({ type: 'log', stream: 'err', offset: 0, bytes: Buffer.from('err\n') });
  await view.onEvent({ type: 'gap', stream: 'out', from: 4, to: 5_000_004 });
  expect(stdout().toString()).toBe('out\n');
  expect(stderr()).toBe('err\nWarning: bytes 4 to 5000004 of the log (5MB) are gone: it had outgrown its limit on the machine\n');
});

test('what a filter holds back comes before lines of ours, and at the end', async () => {
  const { view, stdout } = setUp({ sameTerminal: false, states: false, filter: () => createFold(() => 0) });
  await view.onEvent(log('50%\r100%'));
  expect(stdout()).toHaveLength(0);
  await view.onEvent({ type: 'state', at: noon, state: 'ended', end: null });
  expect(stdout().toString()).toBe('100%\n');
  await view.onEvent(log('unfinished'));
  await view.print('done');
  expect(stdout().toString()).toBe('100%\nunfinished');
});

test('states and notes go to stderr', async () => {
  const { view, stdout, stderr } = setUp({ sameTerminal: false, states: true });
  for (const name of ['queued', 'setup', 'running'] as const) await view.onEvent(state(name));
  await view.onEvent({ type: 'note', at: noon, level: 'warn', text: 'GPU is idle\u001b[2J' });
  await view.onEvent({ type: 'state', at: noon, state: 'ended', end: null });
  expect(stderr()).toBe('[running setup]\n[running]\nWarning: GPU is idle\\e[2J\n');
  expect(stdout()).toHaveLength(0);
});

test('without states only warnings are left', async () => {
  const { view, stderr } = setUp({ sameTerminal: false, states: false });
  await view.onEvent(state('running'));
  await view.onEvent({ type: 'note', at: noon, level: 'warn', text: 'careful' });
  expect(stderr()).toBe('Warning: careful\n');
});

test('on one terminal a line of ours never continues a line of the log', async () => {
  const { view, stderr, gaveWay } = setUp({ sameTerminal: true, states: true });
  await view.onEvent(log('loss=0.1'));
  await view.print('ended');
  await view.onEvent(log('whole line\n'));
  await view.print('again');
  expect(stderr()).toBe('\nended\nagain\n');
  expect(gaveWay).toEqual(['clear', 'mid line', 'clear', 'line end', 'clear', 'line end', 'clear', 'line end']);
});

test.each([
  [{}, 'local', 0, 'job-20261121-k3v9xq ended with exit code 0 after 12s on local (cost $0.00)'],
  [{ code: 37 }, 'gcp', 1.254, 'job-20261121-k3v9xq ended with exit code 37 after 12s on gcp (cost $1.25)'],
  [{ code: 137, signal: 'SIGKILL', reason: 'signal' }, null, null, 'job-20261121-k3v9xq was killed by SIGKILL, ended with exit code 137 after 12s'],
  [{ code: null, reason: 'lost', detail: 'the machine rebooted' }, null, null, 'job-20261121-k3v9xq was lost after 12s: the machine rebooted'],
  [
    { code: 0, reason: 'preempted', detail: 'the provider took the machine back' },
    null,
    null,
    'job-20261121-k3v9xq was preempted, ended with exit code 0 after 12s: the provider took the machine back',
  ],
  [{ code: 143, reason: 'cancelled' }, null, null, 'job-20261121-k3v9xq was cancelled after 12s'],
  [{ code: 2, reason: 'setup' }, null, null, 'job-20261121-k3v9xq did not start: its setup failed with exit code 2 after 12s'],
  [{ code: 143, reason: 'deadline' }, null, null, "job-20261121-k3v9xq was ended by the machine's deadline after 12s"],
  [
    { code: 127, reason: 'not-started', detail: 'nope: command not found' },
    null,
    null,
    'job-20261121-k3v9xq could not be started (exit code 127) after 12s: nope: command not found',
  ],
  [null, null, null, 'job-20261121-k3v9xq is running'],
] as const)('%j reads as a sentence', (end, where, usd, sentence) => {
  expect(endLine(jobEntry(end), where, usd)).toBe(sentence);
});

test('one that was cancelled in the queue never ran', () => {
  const detail = 'it was cancelled before it started';
  const job = jobEntry({ code: null, reason: 'cancelled', detail }, { startedAt: null });
  expect(endLine(job)).toBe('job-20261121-k3v9xq was cancelled before it started');
});

test('short jobs are told apart by tenths', () => {
  expect(endLine(jobEntry({}, { startedAt: noon, endedAt: noon + 40 }))).toBe('job-20261121-k3v9xq ended with exit code 0 after 0.0s');
  expect(endLine(jobEntry({}, { startedAt: noon, endedAt: noon + 1_250 }))).toBe('job-20261121-k3v9xq ended with exit code 0 after 1.3s');
  expect(endLine(jobEntry({}, { startedAt: noon, endedAt: noon + 9_960 }))).toBe('job-20261121-k3v9xq ended with exit code 0 after 10s');
});

test('events as JSON Lines; a character that was cut in two comes whole', async () => {
  const lines: string[] = [];
  const write = createEventWriter(async (line) => void lines.push(line));
  const cat = Buffer.from('a🐈b\n');
  await write(log(cat.subarray(0, 3)));
  await write(log(cat.subarray(3), 3));
  await write({ type: 'metric', at: noon, values: { loss: 0.5 }, step: 3, epoch: null, source: 'keras' });
  await write({ type: 'state', at: noon, state: 'ended', end: { code: 137, signal: 'SIGKILL', reason: 'signal', detail: null } });
  await write({ type: 'note', at: noon, level: 'info', text: 'two\nlines' });
  await write({ type: 'log', stream: 'err', offset: 7, bytes: Buffer.from('late\n'), at: noon });
  await write({ type: 'gap', stream: 'out', from: 7, to: 9 });
  expect(
    lines
      .join('')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { type: 'log', offset: 0, bytes: 3, text: 'a' },
    { type: 'log', offset: 3, bytes: 4, text: '🐈b\n' },
    { type: 'metric', at: '2026-11-21T12:00:00.000Z', values: { loss: 0.5 }, step: 3, epoch: null, source: 'keras' },
    { type: 'state', at: '2026-11-21T12:00:00.000Z', state: 'ended', exitCode: 137, signal: 'SIGKILL', reason: 'signal' },
    { type: 'note', at: '2026-11-21T12:00:00.000Z', level: 'info', text: 'two\nlines' },
    { type: 'log', stream: 'stderr', at: '2026-11-21T12:00:00.000Z', offset: 7, bytes: 5, text: 'late\n' },
    { type: 'gap', from: 7, to: 9 },
  ]);
});
