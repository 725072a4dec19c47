/** Machines that Google takes back, that somebody deletes, and gpu-runs that die while they order one: what it means for the user and for the bill. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { kill } from '../support/runner.ts';
import { gcpForFile } from './suite/gcp-target.ts';
import { createProject, type Project, runnersOf, until } from './suite/project.ts';

const target = await gcpForFile({ operationMs: 20, bootMs: 200 });
const { emulator } = target;
/** What would bill. */
const left = () => emulator.instances().map(({ name }) => name);
const named = () => emulator.instances().find(({ name }) => name.startsWith(project.name))?.name ?? '';
const inserts = () => emulator.calls.filter(({ id }) => id === 'instances.insert').length;

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

/** A job that says that it runs, and then goes on for long. */
const longJob = ['train', '--', 'sh', '-c', 'echo ready; sleep 100; echo never'];

describe('a machine that ends in the middle of a job', () => {
  test('preempted: exit code 75, said as such, and nothing is left', async () => {
    const started = project.start(longJob);
    await until(() => started.output().includes('ready'), 'the job to run');
    await emulator.preempt(named());
    const run = await started.done;
    expect(run.code, run.stderr).toBe(75);
    expect(run.text).toContain('ready\n');
    expect(run.stderr).toContain('preempted');
    expect(run.stderr).not.toContain('still');
    const { document } = await project.json(['status', '--all']);
    expect(document.machines).toMatchObject([{ state: 'gone' }]);
    expect(document.jobs).toMatchObject([{ state: 'ended', reason: 'preempted' }]);
    expect((await project.run(['logs'])).text).toMatch(/^ready\n/); // the machine may have said so itself, and ended the job
    expect((await project.run(['logs'])).text).not.toContain('never');
  });

  test('deleted by somebody: lost, in words that say who it was not', async () => {
    const started = project.start([...longJob.slice(0, 1), '--json', ...longJob.slice(1)]);
    await until(() => started.output().includes('ready'), 'the job to run');
    await emulator.deleteByOther(named());
    const run = await started.done;
    expect(run.code, run.stderr).toBe(75);
    expect(JSON.parse(run.text.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      outcome: 'error',
      error: { code: 'lost', message: expect.stringContaining('somebody ended it') },
    });
    expect((await project.json(['status', '--all'])).document.machines).toMatchObject([{ state: 'gone' }]);
  });

  test('only the connection breaks: the job goes on, and every line comes once', async () => {
    const started = project.start(['train', '--', 'sh', '-c', 'for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.3; done; exit 6']);
    await until(() => started.output().includes('line 2'), 'the job to run');
    for (const pid of runnersOf(project.name, 'connect')) kill(pid);
    await until(() => started.output().includes('line 4'), 'the job to go on');
    for (const pid of runnersOf(project.name, 'connect')) kill(pid);
    const run = await started.done;
    expect(run.code, run.stderr).toBe(6);
    expect(run.text).toBe([1, 2, 3, 4, 5, 6, 7, 8].map((i) => `line ${i}\n`).join(''));
  });
});

/** The moments at which a gpu-run may die while it orders; `until` they have come. */
const moments: readonly { readonly when: string; readonly set: () => void; readonly come: () => boolean }[] = [
  {
    when: 'before the order',
    set: () => {},
    come: () => emulator.calls.some(({ id }) => id === 'images.getFromFamily'),
  },
  {
    when: 'after the order has taken effect and before it was answered',
    set: () => void emulator.faults.hang({ calls: /^instances\.insert$/, when: 'after' }),
    come: () => left().length > 0,
  },
  {
    when: 'while the order is carried out',
    set: () => void emulator.faults.operationSlow({ ms: 3_000, types: /^insert$/ }),
    come: () => inserts() > 0,
  },
  {
    when: 'while the machine boots',
    set: () => void emulator.faults.machine({ bootMs: 60_000 }),
    come: () => emulator.calls.some(({ id }) => id === 'instances.getGuestAttributes'),
  },
  {
    when: 'while its GPUs are looked at',
    set: () => void emulator.faults.machine({ driverMissing: true }),
    come: () => runnersOf(project.name, 'connect').length > 0,
  },
];

describe('kill -9 of gpu-run during up', () => {
  test.each(moments)('$when: the next command clears up', async ({ set, come }) => {
    set();
    const started = project.start(['up']);
    await until(come, 'the moment');
    started.child.kill('SIGKILL');
    expect((await started.done).signal).toBe('SIGKILL');
    emulator.faults.clear();
    const down = await project.run(['down', '--all', '--yes']);
    expect(down.code, down.stderr).toBe(0);
    const reap = await project.json(['reap']);
    expect(reap.run.code, reap.run.stderr).toBe(0);
    expect(left()).toEqual([]);
    expect((await project.json(['status'])).document.machines).toEqual([]);
  });
});

test('kill -9 while the order is on its way: what comes of it later is found by reap', async () => {
  const order = emulator.faults.slow({ calls: /^instances\.insert$/, ms: 1_500 });
  const started = project.start(['up']);
  await until(() => order.hits() > 0, 'the order');
  started.child.kill('SIGKILL');
  await started.done;
  expect((await project.run(['down', '--all', '--yes'])).code).toBe(0);
  await until(() => left().length > 0 || emulator.calls.some(({ id }) => id === 'instances.delete'), 'the late machine');
  const { run } = await project.json(['reap']);
  expect(run.code, run.stderr).toBe(0);
  expect(left()).toEqual([]);
});

describe('Ctrl-C during up', () => {
  test('while Google has not answered the order yet: what comes of it is ended, then exit code 130', async () => {
    const order = emulator.faults.slow({ calls: /^instances\.insert$/, ms: 1_000 });
    const started = project.start(['up']);
    await until(() => order.hits() > 0, 'the order');
    started.child.kill('SIGINT');
    const run = await started.done;
    expect(run.code, run.stderr).toBe(130);
    expect(run.stderr).toContain('Interrupted');
    expect(emulator.calls.filter(({ id }) => id === 'instances.delete').length).toBeGreaterThan(0);
    expect(left()).toEqual([]);
    expect(inserts()).toBe(1);
    expect((await project.json(['status'])).document.machines).toEqual([]);
  });

  test('while the machine boots', async () => {
    emulator.faults.machine({ bootMs: 60_000 });
    const started = project.start(['up']);
    await until(() => emulator.calls.some(({ id }) => id === 'instances.getGuestAttributes'), 'the machine to boot');
    started.child.kill('SIGINT');
    const run = await started.done;
    expect(run.code, run.stderr).toBe(130);
    expect(left()).toEqual([]);
    expect((await project.json(['status'])).document.machines).toEqual([]);
  });
});
