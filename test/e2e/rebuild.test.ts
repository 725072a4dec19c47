/** The state folder is lost, or there are several: what carries our label is found again, and ended from wherever its owner is. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { gcpForFile } from './suite/gcp-target.ts';
import { createProject, type Project, processesWith, until } from './suite/project.ts';

const target = await gcpForFile({ operationMs: 0 });
const { emulator } = target;
const cpu = { ...target, env: { ...target.env, GPU_RUN_OWNER: 'team-vision' } };
const left = () => emulator.instances().map(({ name }) => name);

const projects: Project[] = [];
const open = (...args: Parameters<typeof createProject>): Project => {
  const project = createProject(...args);
  projects.push(project);
  return project;
};
afterEach(async () => {
  emulator.faults.clear();
  for (const project of projects.splice(0)) await project[Symbol.asyncDispose]();
  expect(left()).toEqual([]);
  expect(emulator.disks()).toEqual([]);
});

describe('on gcp', () => {
  let laptop: Project;
  beforeEach(() => {
    laptop = open({ ...target, config: 'provider: gcp\nspot: false' });
  });

  test('with GPU_RUN_HOME deleted, status --refresh finds the machine with all that is known of it, and down ends it', async () => {
    const up = await laptop.json(['up']);
    expect(up.run.code, up.run.stderr).toBe(0);
    const { machine } = up.document;
    rmSync(laptop.home, { recursive: true });
    expect((await laptop.json(['status'])).document.machines).toEqual([]);
    const { run, document } = await laptop.json(['status', '--refresh']);
    expect(run.code, run.stderr).toBe(0);
    const { id, name, zone, region, type, spot, pricePerHour, hostKey, ssh } = machine;
    const deadline = machine.deadline.replace(/\.\d+Z/, '.000Z'); // labels are in seconds
    const same = { id, name, zone, region, type, spot, deadline, hostKey, ssh, gpu: null, state: 'ready', adopted: true };
    expect(document).toMatchObject({ machines: [same], unreachable: [] });
    expect(document.machines[0].pricePerHour).toBeCloseTo(pricePerHour, 6);
    const ssh1 = await laptop.run(['ssh', name, '--', 'true']);
    expect(ssh1.code).toBe(77);
    expect(ssh1.stderr).toContain(`gpu-run down ${name}`);
    expect(left()).toEqual([id]); // nothing that failed has ended it
    expect((await laptop.json(['reap'])).document).toMatchObject({ ended: [], kept: [{ id, why: 'up' }] });
    const down = await laptop.json(['down', name]);
    expect(down.run.code, down.run.stderr).toBe(0);
    expect(down.document.machines).toMatchObject([{ id, state: 'gone' }]);
    expect(down.document.machines[0].cost.usd).toBeGreaterThan(0);
    expect(left()).toEqual([]);
  });
});

test('two laptops and a nightly job of one owner see the same machines; the one ends them, the other notices', async () => {
  const [first, second, nightly] = [open({ ...cpu, config: 'provider: gcp' }), open({ ...cpu, config: 'provider: gcp' }), open({ ...cpu, config: '' })];
  const [a, b] = await Promise.all([first.json(['up', 'cats']), second.json(['up', 'cats'])]);
  const ids = [a.document.machine.id, b.document.machine.id].toSorted();
  // The nightly job knows nothing of them, and leaves both alone: they have time left.
  const night = await nightly.json(['reap']);
  expect(night.run.code, night.run.stderr).toBe(0);
  expect(night.document).toMatchObject({ ended: [], unreachable: [], leftovers: [] });
  expect(night.document.kept.map(({ id }: { id: string }) => id).toSorted()).toEqual(ids);

  const seen = (await Promise.all([first, second].map((each) => each.json(['status', '--refresh'])))).map(({ document }) => document.machines);
  for (const machines of seen) expect(machines.map(({ id }: { id: string }) => id).toSorted()).toEqual(ids);
  // Two of one name: the other's goes by its id.
  expect(seen[0].map(({ name }: { name: string }) => name).toSorted()).toEqual(['cats', b.document.machine.id].toSorted());
  const down = await second.json(['down', a.document.machine.id]);
  expect(down.run.code, down.run.stderr).toBe(0);
  const after = (await first.json(['status', '--refresh', '--all'])).document.machines;
  expect(after.find(({ id }: { id: string }) => id === a.document.machine.id)).toMatchObject({ state: 'gone' });

  const all = await nightly.json(['reap', '--elsewhere']);
  expect(all.document.ended).toMatchObject([{ id: b.document.machine.id }]);
  expect(left()).toEqual([]);
});

describe('on local', () => {
  test('with the ledger lost, status --refresh finds the machine, train works on it, and down ends it', async () => {
    const project = open({ label: 'local', config: 'provider: local' });
    const up = await project.json(['up']);
    expect(up.run.code, up.run.stderr).toBe(0);
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(project.home, `ledger.sqlite${suffix}`), { force: true });
    const { id, name, hostKey } = up.document.machine;
    const deadline = up.document.machine.deadline.replace(/\.\d+Z/, '.000Z');
    const { document } = await project.json(['status', '--refresh']);
    expect(document.machines).toMatchObject([{ id, name, deadline, hostKey, state: 'ready', adopted: true, pricePerHour: 0 }]);
    expect((await project.run(['train', '--', 'true'])).code).toBe(0);
    const down = await project.json(['down']);
    expect(down.document.machines).toMatchObject([{ id, state: 'gone' }]);
    expect(processesWith(project.home)).toEqual([]);
  });

  test('with the whole state folder deleted the machine, which is part of it, ends by itself', async () => {
    const project = open({ label: 'local', config: 'provider: local' });
    expect((await project.run(['up'])).code).toBe(0);
    rmSync(project.home, { recursive: true });
    expect((await project.json(['status', '--refresh'])).document.machines).toEqual([]);
    await until(() => processesWith(project.home).length === 0, 'the machine to end');
    expect(existsSync(join(project.home, 'local'))).toBe(false);
  });
});

test('an owner that is no label is refused before anything is asked', async () => {
  const project = open({ ...cpu, config: '' });
  const { run, document } = await project.json(['reap'], { env: { GPU_RUN_OWNER: '*' } });
  expect(run.code).toBe(64);
  expect(document.error.message).toContain('GPU_RUN_OWNER');
  writeFileSync(join(project.home, 'owner'), 'x" OR y');
  expect((await project.run(['reap'], { env: { GPU_RUN_OWNER: '' } })).code).toBe(64);
  expect(readFileSync(join(project.home, 'owner'), 'utf8')).toBe('x" OR y');
});
