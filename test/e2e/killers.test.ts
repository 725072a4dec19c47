/**
 * What ends a machine when nobody comes back, each alone, with real processes and deadlines of seconds: the watchdog on it, its
 * provider's timer, the idle limit, the guard against stalled jobs. The tests mostly wait, and so they wait side by side.
 */
import { expect, test } from 'vitest';
import { commandLines, isSshSession } from '../../remote-runner/busy.ts';
import { type GcpTarget, gcpForFile } from './suite/gcp-target.ts';
import { createProject, type Project, processesWith, runnersOf, until } from './suite/project.ts';

/** Each test has a Google of its own: what lives there is found by its label from every state folder. */
const [google, slowGoogle, idleGoogle, gpuGoogle] = (await Promise.all(
  ['', '', '', 'gpu: L4:1'].map(async (line) => ({
    ...(await gcpForFile({ operationMs: 20, bootMs: 100, shutdownGraceMs: 0 })),
    config: `provider: gcp\n${line}`,
  })),
)) as [GcpTarget, GcpTarget, GcpTarget, GcpTarget];
const instanceAt = ({ emulator }: GcpTarget) => emulator.instances()[0];
/** Somebody who is in by SSH uses this computer, and so every machine that is emulated on it. */
const isUsed = () => commandLines()?.some(isSshSession) === true;
const within = 60_000;

/** A job that saves its work when it is told to end, and goes on all the same; `word`: in its processes' arguments. */
const stubborn = (word: string) => ['sh', '-c', `trap "echo saved ${word}" TERM; echo ready; while :; do sleep 0.1; done`];

/** `train` has died for good; when its machine was to end, milliseconds since the epoch. */
async function trainAndDie(project: Project, limits: readonly string[]): Promise<number> {
  const started = project.start(['train', ...limits, '--', ...stubborn(project.name)]);
  await until(() => started.output().includes('ready'), 'the job to run');
  started.child.kill('SIGKILL');
  await started.done;
  const { document } = await project.json(['status']);
  return Date.parse(document.machines[0].deadline);
}

/** Nothing of it bills: whoever comes by finds what is left, and takes it away. */
async function expectReaped(project: Project, { emulator }: GcpTarget): Promise<void> {
  const { run } = await project.json(['reap']);
  expect(run.code, run.stderr).toBe(0);
  expect([...emulator.instances(), ...emulator.disks()]).toEqual([]);
  expect((await project.json(['status'])).document.machines).toEqual([]);
}

test.concurrent(
  'by the watchdog alone: gpu-run killed for good, and the timer of its provider never comes',
  async () => {
    await using project = createProject(google);
    const broken = google.emulator.faults.machine({ timerFails: true });
    const deadline = await trainAndDie(project, ['--max-time', '16s']);
    expect(processesWith(`saved ${project.name}`)).not.toEqual([]);
    await until(() => processesWith(`saved ${project.name}`).length === 0, 'the end of the job', within);
    expect(Date.now()).toBeLessThan(deadline + 1_000);
    expect(instanceAt(google)?.status).toBe('RUNNING'); // Google goes first: it would delete the disk, too
    await until(() => instanceAt(google)?.status === 'TERMINATED', 'the end of the machine', within);
    expect(Date.now()).toBeLessThan(deadline + 60_000);
    expect(broken.hits()).toBe(1);
    expect(google.emulator.disks()).toHaveLength(1); // as in truth: it bills on, and no timer is left
    expect(instanceAt(google)?.terminatesAt).toBeNull();
    await expectReaped(project, google);
  },
  2 * within,
);

test.concurrent(
  'by the timer of its provider alone: gpu-run and all of the runner killed for good',
  async () => {
    await using project = createProject(slowGoogle);
    const deadline = await trainAndDie(project, ['--max-time', '30s']);
    const runners = () => [...runnersOf(project.name, 'watch'), ...runnersOf(project.name, 'serve'), ...runnersOf(project.name, 'connect')];
    expect(runnersOf(project.name, 'watch')).toHaveLength(1);
    await until(() => {
      for (const pid of runners()) process.kill(pid, 'SIGSTOP'); // else one of them might bring back another
      for (const pid of runners()) process.kill(pid, 'SIGKILL');
      return runners().length === 0;
    }, 'the end of the runner');
    expect(processesWith(`saved ${project.name}`)).not.toEqual([]);
    slowGoogle.emulator.passTime(15_000);
    await until(() => instanceAt(slowGoogle) === undefined, 'the end of the machine', within);
    expect(Date.now()).toBeLessThan(deadline + 60_000);
    await until(() => processesWith(`saved ${project.name}`).length === 0, 'the end of the job');
    expect(slowGoogle.emulator.disks()).toEqual([]);
    await expectReaped(project, slowGoogle);
  },
  2 * within,
);

test.concurrent(
  'an idle machine ends, also when its laptop never comes back',
  async ({ skip }) => {
    skip(isUsed(), 'somebody is in by SSH here');
    await using project = createProject(idleGoogle);
    const { document } = await project.json(['up', '--idle', '3s']);
    expect(document.machine.protection.join()).toContain('after 3 idle seconds');
    await until(() => instanceAt(idleGoogle)?.status === 'TERMINATED', 'the end of the machine', within);
    const { document: status } = await project.json(['status', '--refresh']); // meets it, and deletes it
    expect(status.machines).toEqual([]);
    expect([...idleGoogle.emulator.instances(), ...idleGoogle.emulator.disks()]).toEqual([]);
  },
  2 * within,
);

test.concurrent(
  'a local machine ends when it is idle',
  async () => {
    await using project = createProject({ label: 'local', config: 'provider: local' });
    const { document } = await project.json(['up', '--idle', '6s']); // less may pass on a busy computer while it is made
    expect(document.machine.protection.join()).toContain('after 6 idle seconds');
    await until(() => processesWith(project.home).length === 0, 'the end of the machine', within);
    expect((await project.json(['status', '--refresh'])).document.machines).toEqual([]);
  },
  2 * within,
);

test.concurrent(
  'a job that has stalled: whoever follows it is warned, it may save its work, its machine ends, and the reason is told',
  async () => {
    await using project = createProject(gpuGoogle);
    const run = await project.run([
      'train',
      '--keep',
      '--stall',
      '4s',
      '--',
      'sh',
      '-c',
      'trap "echo saved; exit 0" TERM; echo ready; while :; do sleep 0.1; done',
    ]);
    expect(run.text).toMatch(/^ready\n(Terminated\n)?saved\n$/);
    expect(run.stderr).toContain('Warning: The job has written nothing, and no GPU has worked, for 2 seconds.');
    expect(run.stderr).toContain('was ended because it had stalled');
    expect(run.stderr).toContain('--stall');
    expect(run.code, run.stderr).toBe(130);
    await until(() => instanceAt(gpuGoogle)?.status === 'TERMINATED', 'the end of the machine', within);
    await expectReaped(project, gpuGoogle);
  },
  2 * within,
);
