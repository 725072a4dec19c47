/** One command on the machine, its streams into real files and pipes. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { PassThrough, Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import { shell } from '../../../src/workflows/shell.ts';
import { pipeTransport } from '../../support/runner.ts';
import { machineEntry } from '../cli/entries.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

let fake: FakeContext;
beforeEach(() => {
  fake = createFakeContext(() => ({}));
  const { state: _, ref: __, holder: ___, ...intent } = machineEntry({ deadline: fake.clock.now() + 3_600_000 });
  fake.context.ledger.open({ ...intent, holder: ownIdentity() });
  fake.context.ledger.note(intent.id, { fact: 'ready', access: { kind: 'own', host: '127.0.0.1', port: 9, user: 'x', hostKeys: [] } });
});
afterEach(() => fake[Symbol.dispose]());

async function run(command: string, stderr: Writable, stdout: Writable = new PassThrough()) {
  const shown = stdout instanceof PassThrough ? text(stdout) : Promise.resolve('');
  const connect = () => pipeTransport({ PATH: process.env['PATH'] });
  const input = { name: 'cats', argv: ['sh', '-c', command], terminal: null, stdin: Readable.from([]), stdout, stderr };
  try {
    return { exit: await shell(input, { ...fake.context, connect }), shown };
  } finally {
    stdout.end();
  }
}

/** Written at once, as a process writes its own stderr to a file. Its failures are the screen's to tell. */
function full(): { readonly stream: Writable; readonly failures: string[] } {
  const failures: string[] = [];
  const fd = openSync('/dev/full', 'w');
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      try {
        writeSync(fd, chunk);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    destroy: (error, done) => {
      closeSync(fd);
      done(error);
    },
  });
  stream.on('error', (error) => failures.push((error as NodeJS.ErrnoException).code ?? ''));
  return { stream, failures };
}

const talks = 'for n in 1 2 3; do echo "said $n" >&2; echo "out $n"; done; exit 3';

test('stderr on a full disk costs what would stand there: the command goes on to its end, with its own code', async () => {
  const { stream, failures } = full();
  const { exit, shown } = await run(talks, stream);
  expect([exit, await shown, failures]).toEqual([{ code: 3, signal: null }, 'out 1\nout 2\nout 3\n', ['ENOSPC']]);
});

test('so it does where both go there, as the document has stdout', async () => {
  const { stream, failures } = full();
  const { exit } = await run(talks, stream, stream);
  expect([exit.code, failures]).toEqual([3, ['ENOSPC']]);
});

test('stdout on a full disk is an error: what was asked for is not there', async () => {
  await expect(run(talks, new PassThrough(), full().stream)).rejects.toMatchObject({ code: 'ENOSPC' });
});

test.each(['stdout', 'stderr'])('a command whose reader of %s has left is ended', async (which) => {
  const left = new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('nobody reads'), { code: 'EPIPE' })) }).on('error', () => {});
  const command = 'while :; do echo one; echo two >&2; done';
  const { exit } = await run(command, ...((which === 'stderr' ? [left] : [new PassThrough(), left]) as [Writable, Writable?]));
  expect(exit.code).toBe(0);
});

test('what the command says comes whole, each on its stream', async () => {
  const stderr = new PassThrough({ highWaterMark: 1 << 20 });
  const { exit, shown } = await run('i=0; while [ $i -lt 3000 ]; do echo "message $i" >&2; i=$((i+1)); done; echo done', stderr);
  stderr.end();
  expect([exit.code, await shown, await text(stderr)]).toEqual([0, 'done\n', Array.from({ length: 3000 }, (_, n) => `message ${n}\n`).join('')]);
});
