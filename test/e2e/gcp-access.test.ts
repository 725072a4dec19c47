/** How SSH gets to a machine of Compute Engine through the command line: by the published host keys or not at all, and through the relay. */
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { gcpForFile } from './suite/gcp-target.ts';
import { createProject, type Project, runnersOf } from './suite/project.ts';

const target = await gcpForFile({ operationMs: 0 });
const { emulator } = target;
const left = () => emulator.instances().map(({ name }) => name);

let project: Project;
beforeEach(() => {
  emulator.faults.clear();
  emulator.clearCalls();
  project = createProject(target);
});
afterEach(async () => {
  emulator.faults.clear();
  await project[Symbol.asyncDispose]();
  expect(left()).toEqual([]);
});

describe('host keys', () => {
  test('a machine that shows another key than it has published: no connection, exit code 77, nothing left', async () => {
    emulator.faults.machine({ wrongHostKeys: true });
    const { run, document } = await project.json(['up']);
    expect(run.code, run.stderr).toBe(77);
    expect(document).toMatchObject({ outcome: 'error', error: { code: 'host-key' } });
    expect(left()).toEqual([]);
    expect(emulator.calls.filter(({ id }) => id === 'instances.insert')).toHaveLength(1);
    expect((await project.json(['status'])).document.machines).toEqual([]);
  });

  test.each([
    ['and says nothing of it', false],
    ['and publishes that one instead', true],
  ])('a machine that shows another key than at first, %s: no command connects any more, and down still ends it', async (_, published) => {
    expect((await project.run(['up'])).code).toBe(0);
    await emulator.changeHostKey(left()[0] ?? '', published);
    const refresh = await project.run(['status', '--refresh']);
    expect(refresh.stderr).toContain('host key');
    for (const args of [['train', '--', 'true'], ['ssh', project.name, '--', 'true'], ['sync']]) {
      const run = await project.run(args);
      expect([args, run.code], run.stderr).toEqual([args, 77]);
      expect(run.stderr).toContain('host key');
    }
    expect(runnersOf(project.name, 'connect')).toEqual([]);
    expect((await project.run(['down'])).code).toBe(0);
  });

  test('no agent on the image: the startup script publishes the keys', async () => {
    emulator.faults.machine({ noAgent: true });
    const { run, document } = await project.json(['up']);
    expect(run.code, run.stderr).toBe(0);
    expect(document.machine.hostKey).toMatch(/^ssh-ed25519 |^SHA256:/);
  });
});

describe('without a public address', () => {
  test('up, train and ssh go through the relay, and plain ssh does too', async () => {
    const up = await project.json(['up', '--no-public-ip']);
    expect(up.run.code, up.run.stderr).toBe(0);
    const train = await project.run(['train', '--', 'sh', '-c', 'echo through the relay; exit 4']);
    expect(train.code, train.stderr).toBe(4);
    expect(train.text).toBe('through the relay\n');
    const shell = await project.run(['ssh', project.name, '--', 'cat'], { input: 'there and back\n' });
    expect(shell).toMatchObject({ code: 0, text: 'there and back\n' });
    if (spawnSync('ssh', ['-V']).status === 0) {
      const config = ['-F', join(project.home, 'ssh_config'), '-o', 'BatchMode=yes'];
      const plain = await promisify(execFile)('ssh', [...config, project.name, 'echo $((6 * 7))'], { env: { PATH: process.env['PATH'], ...emulator.env } });
      expect(plain.stdout).toBe('42\n');
    }
  });
});
