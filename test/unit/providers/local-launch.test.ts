/** Launching local machines when things go wrong: killed half-way, a wrong Node, a taken id, a home that can't be written. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { labelKeys, type MachineRef } from '../../../src/core/machine.ts';
import { createLocalProvider } from '../../../src/providers/local/local-provider.ts';
import { findProcesses } from '../../../src/providers/local/process-tree.ts';
import type { LaunchPlan } from '../../../src/providers/provider.ts';
import { anyNeed, collect, planFor } from '../../contract/provider.ts';
import { type LocalMachines, openLocalMachines } from '../../support/local-machines.ts';

const owner = 'ann-x7k2pq';
/** How often a launch is killed: `npm run test:lab` does it more often. */
const rounds = process.env['TEST_ROUNDS'] === 'all' ? 24 : 8;
const script = fileURLToPath(new URL('../../support/local-launch.ts', import.meta.url));

let machines: LocalMachines;
beforeEach(async () => {
  machines = await openLocalMachines();
});
afterEach(() => machines.close());

async function plan(changes?: Partial<LaunchPlan>): Promise<LaunchPlan> {
  const [offer] = await collect(machines.provider.offers(anyNeed));
  if (offer === undefined) throw new Error('no offer');
  return planFor(offer, anyNeed, Date.now(), changes);
}

const listed = () => collect(machines.provider.list(owner));
const left = () => (existsSync(machines.home) ? readdirSync(machines.home) : []);

async function whyGone(ref: MachineRef): Promise<string | null> {
  for (;;) {
    const status = await machines.provider.describe(ref);
    if (status.state === 'gone') return status.detail;
    if (status.state === 'running') throw new Error('it runs');
    await systemClock.sleep(10);
  }
}

describe('a launch that is killed', () => {
  test('at any point leaves only what list finds and terminate removes', async () => {
    let launched = 0;
    for (let round = 0; round < rounds; round++) {
      const order = await plan();
      const child = spawn(process.execPath, [script, machines.home, machines.options.machineProcess, JSON.stringify(order)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(child, 'exit');
      await once(child.stdout, 'data'); // it says that it is about to launch
      await systemClock.sleep(Math.random() * 25);
      child.kill('SIGKILL');
      await exited;

      for (const ref of await listed()) {
        launched += 1;
        expect(ref.id).toBe(order.id);
        expect(await machines.provider.terminate(ref)).toEqual({ state: 'gone', leftovers: [] });
      }
      expect([left(), findProcesses(order.id)]).toEqual([[], []]);
    }
    expect(launched).toBeGreaterThan(0);
  });

  test.each<[string, (folder: string) => void]>([
    ['an empty folder', () => {}],
    ['an order not yet in place', (folder) => writeFileSync(join(folder, '.machine.json.1'), '{"id":')],
    ['an order that a power cut has emptied', (folder) => writeFileSync(join(folder, 'machine.json'), '')],
  ])('leaving %s', async (_what, make) => {
    const folder = join(machines.home, 'cats-k3v9xq');
    mkdirSync(folder, { recursive: true });
    make(folder);
    const refs = await listed();
    expect(refs).toMatchObject([{ id: 'cats-k3v9xq', name: 'cats', labels: { [labelKeys.owner]: owner } }]);
    const [ref] = refs as [MachineRef];
    expect(await machines.provider.describe(ref)).toMatchObject({ state: 'gone', detail: 'it was never completely made' });
    expect(await machines.provider.terminate(ref)).toEqual({ state: 'gone', leftovers: [] });
    expect(left()).toEqual([]);
  });

  test('before its process was started can be repeated', async () => {
    const order = await plan();
    const ref = await createLocalProvider({ ...machines.options, node: '/bin/true' }).launch(order);
    expect(await whyGone(ref)).toBe('its process ended without a word');
    expect(await machines.provider.launch(order)).toEqual(ref);
    while ((await machines.provider.describe(ref)).state === 'pending') await systemClock.sleep(10);
    expect((await machines.provider.describe(ref)).state).toBe('running');
  });

  test('and whose folder goes while its process starts leaves no process', async () => {
    const order = await plan();
    await machines.provider.launch(order);
    rmSync(machines.home, { recursive: true });
    while (findProcesses(order.id).length > 0) await systemClock.sleep(10);
    expect(existsSync(machines.home)).toBe(false);
  });
});

describe('a launch that fails', () => {
  test('for want of Node leaves nothing behind', async () => {
    const provider = createLocalProvider({ ...machines.options, node: '/no/such/node' });
    await expect(provider.launch(await plan())).rejects.toMatchObject({ code: 'unfit', message: expect.stringContaining('/no/such/node') });
    expect(left()).toEqual([]);
  });

  test('in its own process says why', async () => {
    const ref = await createLocalProvider({ ...machines.options, machineProcess: '/no/such/local-machine.js' }).launch(await plan());
    expect(await whyGone(ref)).toContain("Cannot find module '/no/such/local-machine.js'");
  });

  test('at its SSH server says why', async () => {
    const ref = await machines.provider.launch(await plan({ sshPublicKey: 'no key' }));
    expect(await whyGone(ref)).toMatch(/^it failed: .*key/i);
  });

  test('in a home that is a file says so', async () => {
    writeFileSync(join(dirname(machines.home), 'file'), '');
    const provider = createLocalProvider({ ...machines.options, home: join(dirname(machines.home), 'file') });
    await expect(provider.launch(await plan())).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('a file in the way') });
  });

  test('because the id is taken touches nothing', async () => {
    const order = await plan();
    const ref = await machines.provider.launch(order);
    await expect(machines.provider.launch({ ...order, requestId: 'another' })).rejects.toMatchObject({ code: 'conflict' });
    while ((await machines.provider.describe(ref)).state === 'pending') await systemClock.sleep(10);
    expect((await machines.provider.describe(ref)).state).toBe('running');
  });

  test.each(['../cats', '', '.', 'a/b', 'Cats', 'a\0b', 'x'.repeat(64)])('because %j is no id stays inside its home', async (id) => {
    await expect(machines.provider.launch(await plan({ id }))).rejects.toMatchObject({ code: 'bad-input' });
    expect(readdirSync(dirname(machines.home))).toEqual([]);
  });
});
