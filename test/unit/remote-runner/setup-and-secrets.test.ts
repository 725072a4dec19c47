/** Setup runs when it must and no more often; secrets are in the job's environment and nowhere else. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { setupHash } from '../../../remote-runner/setup-stamp.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, followToEnd, kill, processesHolding, runJob, specOf, statesOf, type TestMachine, until } from '../../support/runner.ts';

const built = useBuiltRunner();
let machine: TestMachine;
let client: RunnerClient;

beforeEach(async () => {
  machine = createMachine(built.script);
  client = await machine.connect();
});
afterEach(() => machine[Symbol.asyncDispose]());

describe('setup', () => {
  const setup = 'echo "setting up"; cat requirements.txt';
  const write = (text: string) => writeFileSync(join(machine.workdir, 'requirements.txt'), text);

  test('runs before the command, into the same log, once', async () => {
    write('torch\n');
    const first = await runJob(client, specOf('echo training', { setup }));
    expect(first.log.toString()).toBe('setting up\ntorch\ntraining\n');
    expect(statesOf(first.records)).toEqual(['queued', 'setup', 'running', 'ended']);
    expect(first.records.flatMap((record) => (record.type === 'state' ? [record.logOffset] : []))).toEqual([0, 0, 17, 26]);
    const second = await runJob(client, specOf('echo training', { setup }));
    expect(second.log.toString()).toBe('training\n');
    expect(statesOf(second.records)).toEqual(['queued', 'running', 'ended']);
  });

  test('runs again when a file that it names has changed, when it itself has, and when it is back to an older one', async () => {
    const setups = async () => (await runJob(client, specOf('true', { setup }))).log.toString();
    write('torch\n');
    expect(await setups()).toContain('torch');
    write('torch\nnumpy\n');
    expect(await setups()).toContain('numpy');
    expect(await setups()).toBe('');
    write('torch\n');
    expect(await setups()).toContain('torch');
    expect((await runJob(client, specOf('true', { setup: `${setup}; echo more` }))).log.toString()).toContain('more');
    expect(await setups()).toContain('setting up');
  });

  test('that fails ends the job with its code, is not remembered, and the command is not started', async () => {
    const failing = specOf('touch started', { setup: 'echo no; exit 8' });
    const { summary, log } = await runJob(client, failing);
    expect(summary.end).toMatchObject({ code: 8, signal: null, reason: 'setup' });
    expect(log.toString()).toBe('no\n');
    expect(existsSync(join(machine.workdir, 'started'))).toBe(false);
    expect((await runJob(client, { ...failing, id: `${failing.id}-2` })).log.toString()).toBe('no\n');
    expect((await runJob(client, specOf('true', { setup: 'kill -9 $$' }))).summary.end).toMatchObject({ code: 137, signal: 'SIGKILL', reason: 'setup' });
  });

  test('goes on while the serving process is killed', async () => {
    const spec = specOf('echo training', { setup: 'echo on > on; until [ -e go ]; do sleep 0.02; done; echo "set up"' });
    await client.call('submit', { spec });
    await until(() => existsSync(join(machine.workdir, 'on')), 'the setup');
    for (const pid of machine.pids('serve')) kill(pid);
    writeFileSync(join(machine.workdir, 'go'), '');
    const { log, records } = await followToEnd(client, spec.id);
    expect(log.toString()).toBe('set up\ntraining\n');
    expect(statesOf(records)).toEqual(['queued', 'setup', 'running', 'ended']);
  });

  test('sees files that it names in all the ways one names files, and no others', () => {
    const folder = machine.workdir;
    mkdirSync(join(folder, 'deep'));
    for (const name of ['a.txt', 'b.txt', 'deep/c.txt', 'other.txt']) writeFileSync(join(folder, name), '1');
    writeFileSync(join(machine.root, 'outside.txt'), '1');
    symlinkSync('../outside.txt', join(folder, 'link.txt'));
    const text = `pip install -r a.txt --file=b.txt && sh "./deep/c.txt" < link.txt; cat ../outside.txt ${'missing.txt'}`;
    const hash = () => setupHash(text, folder);
    const base = hash();
    for (const name of ['a.txt', 'b.txt', 'deep/c.txt']) {
      writeFileSync(join(folder, name), '2');
      expect([name, hash() === base]).toEqual([name, false]);
      writeFileSync(join(folder, name), '1');
      expect(hash()).toBe(base);
    }
    writeFileSync(join(folder, 'other.txt'), '2');
    writeFileSync(join(machine.root, 'outside.txt'), '2');
    expect(hash()).toBe(base);
    writeFileSync(join(folder, 'missing.txt'), '');
    expect(hash()).not.toBe(base);
  });
});

describe('secrets', () => {
  const secret = 'swordfish-4711-and-more';

  test('are in the environment of setup and command, and in no file and no argument once it has started', async () => {
    const spec = specOf('echo "command ${#TOKEN}"; echo on > on; until [ -e go ]; do sleep 0.02; done', {
      setup: 'echo "setup ${#TOKEN}"',
      secrets: { TOKEN: secret },
    });
    await client.call('submit', { spec });
    await until(() => existsSync(join(machine.workdir, 'on')), 'the command');
    await until(() => !existsSync(machine.jobFile(spec.id, 'secrets.json')), 'the end of the secrets file');
    expect(filesHolding(machine.root, secret)).toEqual([]);
    expect(argumentsHolding(secret)).toEqual([]);
    writeFileSync(join(machine.workdir, 'go'), '');
    expect((await followToEnd(client, spec.id)).log.toString()).toBe(`setup ${secret.length}\ncommand ${secret.length}\n`);
    expect(filesHolding(machine.root, secret)).toEqual([]);
  });

  test('of a waiting job lie in one file that its owner alone can read, and go when it is cancelled', async () => {
    const blocker = specOf('sleep 60');
    const waiting = specOf('true', { secrets: { TOKEN: secret } });
    await client.call('submit', { spec: blocker });
    await client.call('submit', { spec: waiting });
    expect(filesHolding(machine.root, secret)).toEqual([machine.jobFile(waiting.id, 'secrets.json')]);
    expect(statSync(machine.jobFile(waiting.id, 'secrets.json')).mode & 0o777).toBe(0o600);
    await client.call('cancel', { id: waiting.id, graceMs: 0 });
    expect(filesHolding(machine.root, secret)).toEqual([]);
    await client.call('cancel', { id: blocker.id, graceMs: 0 });
  });

  test('reach a job whose start was interrupted', async () => {
    const blocker = specOf('until [ -e go ]; do sleep 0.02; done');
    const spec = specOf('echo "${#TOKEN}"', { secrets: { TOKEN: secret } });
    await client.call('submit', { spec: blocker });
    await client.call('submit', { spec });
    for (const pid of machine.pids('serve')) kill(pid);
    writeFileSync(join(machine.workdir, 'go'), '');
    expect((await followToEnd(client, spec.id)).log.toString()).toBe(`${secret.length}\n`);
  });

  test('are not repeated in the error about them', async () => {
    await expect(client.call('submit', { spec: specOf('true', { secrets: { TOKEN: `${secret}\0` } }) })).rejects.toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(secret) }),
    );
    expect(filesHolding(machine.root, secret)).toEqual([]);
  });
});

function filesHolding(folder: string, needle: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const file = join(entry.parentPath, entry.name);
    return entry.isFile() && contentOf(file).includes(needle) ? [file] : [];
  });
}

/** The runner tidies up meanwhile: what is gone holds nothing. */
function contentOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

function argumentsHolding(needle: string): number[] {
  return processesHolding(needle).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(needle);
    } catch {
      return false; // it has ended meanwhile
    }
  });
}
