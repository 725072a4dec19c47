import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { openScreen } from '../../../src/cli/screen.ts';
import { openSink } from '../../../src/cli/sink.ts';
import { systemErrorCode } from '../../../src/core/errors.ts';

const mode = { json: false, quiet: false, verbose: false };
const terminal = () => Object.assign(new PassThrough(), { isTTY: true, columns: 100 });

test.each([
  ['a terminal', terminal(), {}, true, true],
  ['a pipe', new PassThrough(), {}, false, false],
  ['NO_COLOR', terminal(), { NO_COLOR: '1' }, false, false],
  ['an empty NO_COLOR, which counts as none', terminal(), { NO_COLOR: '' }, true, true],
  ['CI', terminal(), { CI: 'true' }, true, false],
  ['CI=false', terminal(), { CI: 'false' }, true, true],
  ['a dumb terminal', terminal(), { TERM: 'dumb' }, false, false],
])('%s', (_what, stream, env, colour, animated) => {
  const screen = openScreen(mode, { stdout: stream, stderr: stream, env });
  expect(screen.errStyle.red('x') !== 'x').toBe(colour);
  expect(screen.outStyle.red('x') !== 'x').toBe(colour);
  expect(screen.animated).toBe(animated);
});

test('a slow reader slows the writer down', async () => {
  const stream = new PassThrough({ highWaterMark: 4 });
  const sink = openSink(stream);
  let written = false;
  const writing = sink.write('longer than the buffer').then(() => {
    written = true;
  });
  await new Promise(setImmediate);
  expect(written).toBe(false);
  expect(String(stream.read())).toBe('longer than the buffer');
  await writing;
  expect(written).toBe(true);
});

test('a reader that has left is no error, and nobody waits for it', async () => {
  const stream = new PassThrough({ highWaterMark: 4 });
  const sink = openSink(stream);
  const writing = sink.write('longer than the buffer');
  stream.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  await writing;
  await sink.closed;
  await sink.write('more');
  await sink.flush();
  expect(sink.isClosed).toBe(true);
});

test('flush waits until everything was taken', async () => {
  const stream = new PassThrough();
  const sink = openSink(stream);
  void sink.write('a');
  void sink.write('b');
  const chunks: string[] = [];
  stream.on('data', (chunk) => chunks.push(String(chunk)));
  await sink.flush();
  expect(chunks.join('')).toBe('ab');
});

test('a terminal that does not know its size counts as 80 columns', () => {
  expect(openSink(Object.assign(new PassThrough(), { columns: 0 })).columns()).toBe(80);
  expect(openSink(terminal()).columns()).toBe(100);
  expect(openSink(terminal()).width()).toBe(100);
  expect(openSink(new PassThrough()).width()).toBe(Number.POSITIVE_INFINITY);
});

test('what a pipe that is full does not take now comes behind it, each byte once and in order', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sink-'));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  const stream = new Socket({ fd, readable: false, writable: true });
  try {
    const sink = openSink(Object.assign(stream, { fd }));
    const lines = Array.from({ length: 60 }, (_, i) => `${i} ${'x'.repeat(i % 2 === 0 ? 3000 : 9)}\n`);
    const writing = (async () => {
      for (const line of lines) await sink.write(line);
    })();
    let read = '';
    const piece = Buffer.alloc(1500);
    while (read.length < lines.join('').length) {
      await new Promise(setImmediate);
      try {
        read += piece.toString('latin1', 0, readSync(reader, piece));
      } catch (error) {
        if (systemErrorCode(error) !== 'EAGAIN') throw error;
      }
    }
    await writing;
    expect(read).toBe(lines.join(''));
  } finally {
    stream.destroy();
    closeSync(reader);
    await rm(folder, { recursive: true });
  }
});
