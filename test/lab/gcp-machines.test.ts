/** Compute Engine with machines as they are there: OpenSSH at port 22 of an address of its own, an account that our startup script makes. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createProject, type Project } from '../e2e/suite/project.ts';
import { type Lab, openLab, processesIn } from './gcp/lab.ts';

const execute = promisify(execFile);

describe('gcp in the lab', () => {
  let lab: Lab;
  let project: Project;

  const open = (yaml = '') => {
    project = createProject({ label: 'gcp in the lab', config: 'provider: gcp\ndisk: 30GB', env: lab.env, within: lab.within }, yaml);
    return project;
  };
  const links = async () => {
    const [program = '', ...words] = [...lab.within, 'ip', '-o', 'link', 'show', 'type', 'veth'];
    return (await execute(program, words)).stdout;
  };
  const nothingLeft = async () => {
    const { instances, disks, namespaces, strangers } = await lab.state();
    expect(instances.map(({ name }) => name)).toEqual([]);
    expect(disks).toEqual([]);
    expect(processesIn(namespaces)).toEqual([]);
    expect(await links()).toBe('');
    // Nobody but the machines themselves has asked for metadata: the command line never looks for it.
    expect(strangers).toEqual([]);
  };

  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(async () => lab?.close());
  afterEach(async () => {
    await project[Symbol.asyncDispose]();
    await nothingLeft();
  });

  test('up, train, plain ssh and down', async () => {
    const { run, json, name, home, read } = open('outputs: [results/]');
    const up = await json(['up']);
    expect(up.run.code, up.run.stderr).toBe(0);
    const { instances, namespaces } = await lab.state();
    const [instance] = instances;
    expect(instances).toHaveLength(1);
    expect(up.document.machine.ssh).toMatchObject({ host: '203.0.113.2', port: 22 });
    // All that is there has been published by our own script: no agent, and no word of another port.
    expect(Object.keys(instance?.guestAttributes ?? {}).sort()).toEqual(['hostkeys/ecdsa-sha2-nistp256', 'hostkeys/ssh-ed25519']);
    expect(instance?.console).toContain('startup-script exit status 0');
    expect(processesIn(namespaces).length).toBeGreaterThan(0);

    const script = 'hostname; id -un; mkdir results; echo weights > results/model; exit 37';
    const train = await run(['train', '--keep', '--', 'sh', '-c', script]);
    expect(train.code, train.stderr).toBe(37);
    expect(train.text).toBe(`${instance?.name}\n${up.document.machine.ssh.user}\n`);
    expect(train.stderr).not.toContain('host key');
    expect((await run(['pull', name])).code).toBe(0);
    expect(read('results/model').toString()).toBe('weights\n');

    const [program = '', ...words] = [...lab.within, 'ssh', '-F', join(home, 'ssh_config'), '-o', 'BatchMode=yes', name, 'hostname; cat /etc/hostname'];
    const plain = await execute(program, words);
    expect(plain.stdout).toBe(`${instance?.name}\n${instance?.name}\n`);
    // The account and the files are the machine's alone.
    expect((await execute('getent', ['passwd'])).stdout).not.toContain(`${up.document.machine.ssh.user}:`);
    expect(existsSync(`/home/${up.document.machine.ssh.user}`)).toBe(false);

    const down = await run(['down']);
    expect(down.code, down.stderr).toBe(0);
    await nothingLeft();
    expect(processesIn(namespaces)).toEqual([]);
  });

  test('two machines at once are two computers', async () => {
    const { run, json } = open();
    const ups = await Promise.all([json(['up', 'one']), json(['up', 'two'])]);
    expect(
      ups.map(({ run: { code } }) => code),
      ups.map(({ run: { stderr } }) => stderr).join(''),
    ).toEqual([0, 0]);
    const machines = ups.map(({ document }) => document.machine);
    expect(new Set(machines.map(({ ssh }) => ssh.host)).size).toBe(2);
    expect(new Set(machines.map(({ hostKey }) => hostKey)).size).toBe(2);
    const trains = await Promise.all(
      ['one', 'two'].map((each) => run(['train', each, '--keep', '--', 'sh', '-c', 'hostname; echo here > /tmp/mark; ls /tmp/mark'])),
    );
    expect(trains.map(({ code }) => code)).toEqual([0, 0]);
    const names = trains.map(({ text }) => text.split('\n')[0]);
    expect(names.toSorted()).toEqual((await lab.state()).instances.map(({ name }) => name).toSorted());
    expect((await run(['down', 'one'])).code).toBe(0);
    const still = await run(['ssh', 'two', '--', 'cat', '/tmp/mark']);
    expect(still, still.stderr).toMatchObject({ code: 0, text: 'here\n' });
  });

  test('a machine that shows another host key than the API names is not connected to', async () => {
    const { run, name } = open();
    const up = await run(['up']);
    expect(up.code, up.stderr).toBe(0);
    const [instance] = (await lab.state()).instances;
    await lab.changeHostKey(instance?.name ?? '');
    for (const args of [
      ['train', '--', 'true'],
      ['ssh', name, '--', 'true'],
    ]) {
      const refused = await run(args);
      expect([args, refused.code], refused.stderr).toEqual([args, 77]);
      expect(refused.stderr).toContain('host key');
    }
    expect((await run(['down'])).code).toBe(0);
  });
});
