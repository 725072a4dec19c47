/** Opening the runner when something else answers, and what becomes of its errors. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openRunner } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, kill, pipeTransport, specOf, type TestMachine, until } from '../../support/runner.ts';

const built = useBuiltRunner();
let machine: TestMachine;

beforeEach(() => {
  machine = createMachine(built.script);
});
afterEach(() => machine[Symbol.asyncDispose]());

const signal = new AbortController().signal;
/** A program in the runner's place. */
const answering = (program: string) => openRunner(pipeTransport(), { argv: ['sh', '-c', program, 'sh'], root: machine.root }, { signal });

describe('the runner introduces itself', () => {
  test('behind whatever a login shell prints', async () => {
    const { argv, root } = machine.installed;
    const noisy = ['sh', '-c', 'echo "Welcome!"; printf "You have no mail"; echo note >&2; exec "$@"', 'sh', ...argv];
    const client = await openRunner(pipeTransport(), { argv: noisy, root }, { signal });
    expect(client.version).toBe('test-1');
    expect(await client.call('hello', {})).toMatchObject({
      runnerVersion: 'test-1',
      root: machine.root,
      workdir: machine.workdir,
      platform: process.platform,
      cpus: expect.any(Number),
    });
    await client.close();
  });

  test.each([
    ['a missing program', 'echo "sh: node: not found" >&2; exit 127', /did not start.*exit code 127: sh: node: not found/s],
    ['words on stdout', 'echo "This account is closed."; exit 1', /This account is closed\./],
    ['nothing at all', 'exit 0', /exit code 0/],
    ['another protocol', 'printf "\\nGPU-RUN-RUNNER/99 x\\n"; cat', /protocol 99/],
    ['a flood', 'yes', /1 MiB/],
    ['frames that are none', 'printf "\\nGPU-RUN-RUNNER/2 x\\n"; printf "\\377\\377\\377\\377"; cat', /bytes long/],
  ])('%s is a protocol error that shows what came', async (_, program, words) => {
    const failing = async () => {
      const client = await answering(program);
      await client.call('hello', {});
    };
    await expect(failing()).rejects.toMatchObject({ code: 'protocol', message: expect.stringMatching(words) });
  });

  test('one that was killed in between is a connection that broke, worth another try', async () => {
    await expect(answering('kill -9 $$')).rejects.toMatchObject({ code: 'connection', retry: 'same' });
  });

  test('one that says nothing is given up, and ended', async () => {
    const installed = { argv: ['sh', '-c', 'exec sleep 1000', 'sh', machine.root], root: machine.root };
    await expect(openRunner(pipeTransport(), installed, { signal, withinMs: 200 })).rejects.toMatchObject({
      code: 'connection',
      retry: 'same',
      message: expect.stringContaining('connected but silent'),
    });
  });

  test('a usage that it does not know', async () => {
    await expect(openRunner(pipeTransport(), { ...machine.installed, root: 'relative' }, { signal })).rejects.toMatchObject({
      code: 'protocol',
      message: expect.stringContaining('usage'),
    });
  });
});

describe('an open connection', () => {
  test('that breaks fails its calls, those under way and those to come', async () => {
    const client = await machine.connect();
    const spec = specOf('sleep 60');
    await client.call('submit', { spec });
    const call = client.open('follow', { id: spec.id, logOffset: 0, record: 0, follow: true });
    await until(() => machine.pids('connect').length > 0, 'the connection');
    for (const pid of machine.pids('connect')) kill(pid);
    await expect(call.result).rejects.toMatchObject({ code: 'connection' });
    const parts = async () => {
      for await (const _ of call.parts());
    };
    await expect(parts()).rejects.toMatchObject({ code: 'connection' });
    await expect(client.call('hello', {})).rejects.toMatchObject({ code: 'connection' });
    await client.close();
    await client.close();
  });

  test('that is closed fails its calls, and takes none', async () => {
    const client = await machine.connect();
    const spec = specOf('sleep 60');
    await client.call('submit', { spec });
    const refused = expect(client.open('follow', { id: spec.id, logOffset: 0, record: 0, follow: true }).result).rejects.toMatchObject({ code: 'connection' });
    await client.close();
    await refused;
    await expect(client.call('hello', {})).rejects.toMatchObject({ code: 'connection' });
    await until(() => machine.pids('connect').length === 0, 'its end');
  });
});

describe('GPUs', () => {
  const withSmi = async (program: string | null) => {
    const bin = mkdtempSync(join(built.folder, 'bin-'));
    if (program !== null) writeFileSync(join(bin, 'nvidia-smi'), `#!/bin/sh\n${program}\n`, { mode: 0o755 });
    const env = { ...process.env, PATH: program === null ? bin : `${bin}:/usr/bin:/bin` };
    const client = await openRunner(pipeTransport(env), machine.installed, { signal });
    try {
      return await client.call('gpus', {});
    } finally {
      await client.close();
    }
  };

  test.each([
    [
      'echo "0, NVIDIA L4, GPU-1, 23034, 550.54"',
      { gpus: [{ index: 0, name: 'NVIDIA L4', uuid: 'GPU-1', memoryBytes: 23_034 * 1024 * 1024, driver: '550.54' }], problem: null },
    ],
    [null, { gpus: [], problem: expect.stringContaining('not found') }],
    ['exit 0', { gpus: [], problem: expect.stringContaining('no GPU') }],
    ['echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18', { gpus: [], problem: expect.stringContaining('version mismatch') }],
  ])('when nvidia-smi says %j', async (program, expected) => {
    expect(await withSmi(program)).toEqual(expected);
  });
});
