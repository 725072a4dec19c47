/** A Spot machine that is taken back three times, at random moments, once without a word: the example comes to the same end. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { gcpForFile, oneL4 } from '../e2e/suite/gcp-target.ts';
import { createProject, type Project, type Started, until } from '../e2e/suite/project.ts';
import { kill } from '../support/runner.ts';
import { exampleFolder, jsonLines, run } from '../unit/examples/run-example.ts';

const target = await gcpForFile({ preemptionNoticeMs: 8_000 });
const { emulator } = target;
const repository = join(import.meta.dirname, '../..');
/** As the example has it. */
const checkpointEvery = 10;
const epochs = 100;

let project: Project;
afterEach(async () => project[Symbol.asyncDispose]());

/** An epoch of the example takes some 50 ms: too little for anything to happen between two checkpoints. It waits for `setImmediate` once an epoch. */
const slow = 'const { setTimeout } = globalThis; globalThis.setImmediate = (next, ...rest) => setTimeout(next, 500, ...rest);\n';

function prepare(attempts: number): void {
  const yaml = [
    'setup: ln -sfn "$MODULES" node_modules',
    'train: node --import ./slow.mjs train.js',
    `env: { MODULES: "${join(repository, 'node_modules')}" }`,
    'outputs: [outputs/]',
    'sync: { exclude: [node_modules/, outputs/] }',
    `retry: { attempts: ${attempts} }`,
  ];
  project = createProject({ ...target, config: oneL4 }, yaml.join('\n'));
  const isCode = (path: string) => !/[/\\](outputs|node_modules|gpu-run\.yaml)$/.test(path);
  cpSync(exampleFolder('iris'), project.folder, { recursive: true, filter: isCode });
  project.write('slow.mjs', slow);
}

const machineName = () => emulator.instances().find(({ name }) => name.startsWith(project.name))?.name ?? '';
const epochsIn = (text: string) => [...text.matchAll(/"epoch":(\d+)/g)].map(([, epoch]) => Number(epoch));
const lastEpoch = (started: Started) => epochsIn(started.output().toString()).at(-1) ?? 0;

/** What stands in this file of the newest checkpoint that is on this computer; null: there is none, or it is being replaced. */
function savedFile(name: string): string | null {
  try {
    const files = readdirSync(join(project.home, 'jobs'), { recursive: true }).map(String);
    const newest = files.filter((file) => /checkpoints\/\d+\/outputs\/checkpoints\//.test(file) && file.endsWith(`/${name}`)).at(-1);
    return newest === undefined ? null : readFileSync(join(project.home, 'jobs', newest), 'utf8');
  } catch {
    return null;
  }
}

function savedHere(): number {
  const text = savedFile('model.json');
  return text === null ? 0 : (JSON.parse(text).userDefinedMetadata.epoch as number);
}

/** How many epochs were done, at most, between the one of a checkpoint and that checkpoint's arrival here. */
function watchArrivals(started: Started): { readonly worst: () => number; stop(): void } {
  let newest = 0;
  let worst = 0;
  const timer = setInterval(() => {
    const saved = savedHere();
    if (saved > newest) worst = Math.max(worst, lastEpoch(started) - saved);
    newest = Math.max(newest, saved);
  }, 50);
  return { worst: () => worst, stop: () => clearInterval(timer) };
}

/** Without gpu-run, from beginning to end. */
async function uninterrupted(): Promise<{ readonly losses: Map<number, number>; readonly metrics: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-plain-'));
  cpSync(exampleFolder('iris'), folder, { recursive: true, filter: (path) => !/[/\\](outputs|node_modules)$/.test(path) });
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
  const { code, stdout } = await run([process.execPath, 'train.js'], folder);
  expect(code).toBe(0);
  const metrics = readFileSync(join(folder, 'outputs/metrics.json'), 'utf8');
  rmSync(folder, { recursive: true });
  return { losses: new Map(jsonLines(stdout).flatMap(({ epoch, loss }) => (epoch === undefined ? [] : [[epoch, loss as number]]))), metrics };
}

test('the same losses and the same model, and at most one interval is done twice each time', async () => {
  const plain = await uninterrupted();
  prepare(4);
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e6));
  const random = (n: number) => Math.abs(Math.sin(seed + n) * 1e4) % 1;
  console.log(`seed ${seed}`);
  const started = project.start(['train']);
  const arrivals = watchArrivals(started);
  onTestFinished(arrivals.stop);
  const redone: number[] = [];
  for (const [index, how] of ['preempt', 'vanish', 'preempt'].entries()) {
    const name = await until(() => machineName() || null, 'a machine', 60_000);
    const begun = lastEpoch(started);
    await until(() => savedHere() > begun && lastEpoch(started) > savedHere(), 'a checkpoint of this attempt', 120_000);
    const more = lastEpoch(started) + Math.floor(random(index) * checkpointEvery);
    await until(() => lastEpoch(started) >= more, `epoch ${more}`, 60_000);
    if (how === 'preempt') await emulator.preempt(name);
    else await emulator.vanish(name);
    await until(() => started.errors().includes(`attempt ${index + 2} of 4`), 'the next attempt', 120_000);
    const done = lastEpoch(started);
    await until(() => lastEpoch(started) !== done && machineName() !== name, 'its first epoch', 120_000);
    const first = epochsIn(started.output().toString()).at(epochsIn(started.output().toString()).lastIndexOf(done) + 1) ?? 0;
    redone.push(done - first + 1);
    if (how === 'preempt') expect(redone.at(-1), 'what was saved at the notice is not lost').toBe(0);
  }
  const { code, text, stderr } = await started.done;
  expect(code, stderr).toBe(0);
  console.log(`epochs done twice: ${redone.join(', ')}; done while a checkpoint was on its way: ${arrivals.worst()} at most`);
  // The newest checkpoint is worth nothing before it is here.
  for (const count of redone) expect(count).toBeLessThanOrEqual(checkpointEvery + arrivals.worst());
  expect(arrivals.worst()).toBeLessThan(checkpointEvery);
  const metrics = jsonLines(
    text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .join('\n'),
  );
  for (const { epoch, loss } of metrics) if (epoch !== undefined) expect([epoch, loss]).toEqual([epoch, plain.losses.get(epoch)]);
  expect(new Set(epochsIn(text)).size).toBe(epochs);
  expect(project.read('outputs/metrics.json').toString()).toBe(plain.metrics);

  // One job, four machines, one bill, and nothing left.
  const { document: status } = await project.json(['status', '--all']);
  expect(status.machines.map(({ state }: { state: string }) => state)).toEqual(Array(4).fill('gone'));
  expect(status.jobs).toMatchObject([{ state: 'ended', exitCode: 0, attempts: 4 }]);
  expect((await project.run(['logs'])).text).toBe(text);
  const { document: cost } = await project.json(['cost', '--by', 'job']);
  expect(cost.items.map(({ key }: { key: string }) => key)).toContain(status.jobs[0].id);
  expect(emulator.instances()).toEqual([]);
  expect(emulator.disks()).toEqual([]);
});

const steps = (then: string) => `echo attempt $GPU_RUN_ATTEMPT; ${then}`;

test('attempts used up: exit code 75, nothing is left, and the last checkpoint is with the user', async () => {
  prepare(2);
  const saves = 'mkdir -p "$GPU_RUN_CHECKPOINT_DIR"; echo "$GPU_RUN_ATTEMPT" > "$GPU_RUN_CHECKPOINT_DIR/last"; sleep 100';
  const started = project.start(['train', '--', 'sh', '-c', steps(saves)]);
  for (const attempt of [1, 2]) {
    await until(() => started.output().includes(`attempt ${attempt}`), 'the attempt', 60_000);
    await until(() => savedFile('last') === `${attempt}\n`, 'its checkpoint', 60_000);
    await emulator.vanish(machineName());
  }
  const { code, stderr } = await started.done;
  expect(code, stderr).toBe(75);
  expect(stderr).toContain('That was attempt 2 of 2: the job is not started again');
  expect(project.read('outputs/checkpoints/last').toString()).toBe('2\n');
  expect(emulator.instances()).toEqual([]);
});

test('kill -9 between two attempts: the next command says how it stands, and nothing bills', async () => {
  prepare(3);
  const started = project.start(['train', '--', 'sh', '-c', steps('sleep 100')]);
  await until(() => started.output().includes('attempt 1'), 'the job', 60_000);
  await emulator.vanish(machineName());
  await until(() => started.errors().includes('attempt 2 of 3 begins'), 'the pause', 60_000);
  started.child.kill('SIGKILL');
  await started.done;
  const { document } = await project.json(['status', '--all']);
  expect(document.jobs).toMatchObject([{ state: 'ended', reason: 'lost' }]);
  expect(document.machines).toMatchObject([{ state: 'gone' }]);
  expect(emulator.instances()).toEqual([]);
});

test('kill -9 while the next machine is being made: the next command ends it', async () => {
  prepare(3);
  const started = project.start(['train', '--', 'sh', '-c', steps('sleep 100')]);
  await until(() => started.output().includes('attempt 1'), 'the job', 60_000);
  emulator.faults.machine({ bootMs: 60_000 });
  await emulator.vanish(machineName());
  await until(() => machineName() !== '', 'the next machine', 60_000);
  started.child.kill('SIGKILL');
  await started.done;
  emulator.faults.clear();
  expect((await project.run(['down', '--all', '--yes'])).code).toBe(0);
  expect(emulator.instances()).toEqual([]);
});

test('a machine of this computer whose process is killed: the job goes on in another one', async () => {
  project = createProject({ label: 'local', config: 'provider: local' }, 'retry: { attempts: 2 }');
  writeFileSync(join(project.folder, 'job.sh'), `${steps('if [ "$GPU_RUN_ATTEMPT" = 1 ]; then echo ready; sleep 100; fi')}\n`);
  const started = project.start(['train', '--', 'sh', 'job.sh']);
  await until(() => started.output().includes('ready'), 'the job');
  const { processesWith } = await import('../e2e/suite/project.ts');
  // All of it at once, as when the computer is switched off.
  const own = started.child.pid;
  for (const { pid } of processesWith(`/machines/${project.name}-`)) if (pid !== own) kill(pid);
  for (const { pid, args } of processesWith(project.home)) if (pid !== own && !args.includes('run.js train')) kill(pid);
  const { code, text, stderr } = await started.done;
  expect(code, stderr).toBe(0);
  expect(text).toBe('attempt 1\nready\nattempt 2\n');
});
