/** Checkpoints that no outputs bring, behind a job whose machine goes down with it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { Report } from '../../../src/core/reporter.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { train } from '../../../src/workflows/train.ts';
import { until } from '../../support/runner.ts';
import { takenMachines } from './taken-machines.ts';

const prepare = takenMachines();
/** It ends before anybody could tell by the time alone that the last one is complete. */
const saves = 'mkdir "$GPU_RUN_CHECKPOINT_DIR"; for n in 1 2; do echo "step $n" > "$GPU_RUN_CHECKPOINT_DIR/step-$n"; done; echo saved';

function storeOf({ home }: RunContext): string {
  const [id = ''] = readdirSync(home.jobs);
  return join(home.jobs, id, 'checkpoints');
}

test.each([0, 3])('they are fetched, their place is said, and the machine goes; exit code %d', async (code) => {
  const { context, inputOf, provider, fake } = await prepare();
  const { job, machineDown } = await train(inputOf(`${saves}; exit ${code}`, { retry: { on: [], attempts: 1, resumeFrom: null } }), context, async () => {});
  expect([job.end?.code, machineDown, provider.machines[0]?.goneAt]).toEqual([code, true, expect.any(Number)]);
  const folder = join(storeOf(context), '1', 'checkpoints');
  expect(readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))).toEqual(['step 1\n', 'step 2\n']);
  const texts = fake.reports.flatMap((report) => ('text' in report ? [report.text] : []));
  expect(texts).toContain(`The last checkpoint that was fetched is in ${folder}. To go on from it:`);
  expect(readdirSync(storeOf(context))).toEqual(['1']);
});

test('what was fetched while the job ran, and thrown away by it since, is no part of what it leaves', async () => {
  const { context, inputOf } = await prepare();
  const fetched = () => existsSync(join(storeOf(context), '1', 'checkpoints', 'step-1'));
  const go = join(context.home.scratch, 'go');
  const command =
    'mkdir "$GPU_RUN_CHECKPOINT_DIR"; cd "$GPU_RUN_CHECKPOINT_DIR"; echo 1 > step-1; until [ -e "$GO" ]; do sleep 0.02; done; rm step-1; echo 2 > step-2';
  const training = train(inputOf(command, { env: { GO: go } }), context, async () => {});
  await until(() => existsSync(context.home.jobs) && readdirSync(context.home.jobs).length > 0 && fetched(), 'the first checkpoint');
  mkdirSync(context.home.scratch, { recursive: true });
  writeFileSync(go, '');
  expect(await training).toMatchObject({ machineDown: true });
  const [number = ''] = readdirSync(storeOf(context));
  expect(readdirSync(join(storeOf(context), number, 'checkpoints'))).toEqual(['step-2']);
});

test('what a link among them leads to is not thrown away', async () => {
  const { context, inputOf } = await prepare();
  const command = 'mkdir -p "$GPU_RUN_CHECKPOINT_DIR/step-2"; cd "$GPU_RUN_CHECKPOINT_DIR"; echo 2 > step-2/model; ln -s step-2 latest; ln -s . all';
  await train(inputOf(command, { retry: { on: [], attempts: 1, resumeFrom: null } }), context, async () => {});
  const folder = join(storeOf(context), '1', 'checkpoints');
  expect(['step-2', 'latest', 'all/latest'].map((name) => readFileSync(join(folder, name, 'model'), 'utf8'))).toEqual(['2\n', '2\n', '2\n']);
});

test('a folder that was fetched while the job ran, and is a link by now, is not in its way', async () => {
  const { context, inputOf } = await prepare();
  const fetched = () => existsSync(join(storeOf(context), '1', 'checkpoints', 'best', 'model'));
  const go = join(context.home.scratch, 'go');
  const command =
    'mkdir -p "$GPU_RUN_CHECKPOINT_DIR/best"; cd "$GPU_RUN_CHECKPOINT_DIR"; echo 1 > best/model; until [ -e "$GO" ]; do sleep 0.02; done; ' +
    'rm -r best; mkdir step-2; echo 2 > step-2/model; ln -s step-2 best';
  const training = train(inputOf(command, { env: { GO: go } }), context, async () => {});
  training.catch(() => {}); // awaited below
  await until(() => existsSync(context.home.jobs) && readdirSync(context.home.jobs).length > 0 && fetched(), 'the first checkpoint');
  mkdirSync(context.home.scratch, { recursive: true });
  writeFileSync(go, '');
  expect(await training).toMatchObject({ machineDown: true });
  const [number = ''] = readdirSync(storeOf(context));
  expect(readFileSync(join(storeOf(context), number, 'checkpoints', 'best', 'model'), 'utf8')).toBe('2\n');
});

test('when they can not be fetched the machine stays, and the error says how to try again', async () => {
  const { context, inputOf, provider } = await prepare();
  const report = (what: Report) => {
    if ('text' in what && what.text.startsWith('Pulling checkpoints')) throw new GpuRunError('disk-full', 'There is no room.');
  };
  const training = train(inputOf(saves), { ...context, reporter: { report } }, async () => {});
  const failure = await training.then(
    () => expect.unreachable(),
    (error: GpuRunError) => error,
  );
  expect([failure.code, provider.machines[0]?.goneAt]).toEqual(['still-billing', null]);
  expect(failure.message).toContain('its checkpoints could not be pulled');
  expect(failure.hints).toContainEqual(
    expect.stringMatching(/^gpu-run pull cats checkpoints {3}tries again; 'cats' stays up until (its|it was idle for .*, or its) deadline$/),
  );
  expect(context.ledger.listJobs()).toMatchObject([{ state: 'ended', end: { code: 0 }, awaitedBy: null }]);
});

test('where nothing of the job could be kept on this computer they are not forgotten: the machine stays', async () => {
  const { context, inputOf, provider } = await prepare();
  rmSync(context.home.jobs, { recursive: true, force: true });
  writeFileSync(context.home.jobs, ''); // no folder can be made there
  await expect(train(inputOf(saves), context, async () => {})).rejects.toMatchObject({ code: 'still-billing' });
  expect(provider.machines[0]?.goneAt).toBeNull();
});

test.each([
  ['Pulling checkpoints', []],
  ['Pulling outputs', ['checkpoints/']],
])('Ctrl-C at "%s": whoever does not wait for that keeps the machine, and is told at once', async (at, outputs) => {
  const { context, inputOf, provider, turn } = await prepare();
  const abort = new AbortController();
  const links: Report[] = [];
  const report = (what: Report) => {
    if (what.type === 'link') links.push(what);
    if (!('text' in what) || !what.text.startsWith(at)) return;
    turn(false);
    abort.abort();
  };
  const training = train(inputOf(saves, { outputs }), { ...context, signal: abort.signal, reporter: { report } }, async () => {});
  const why = /but its (outputs|checkpoints) could not be pulled: Interrupted/;
  await expect(training).rejects.toMatchObject({ code: 'still-billing', message: expect.stringMatching(why) });
  expect([provider.machines[0]?.goneAt, links]).toEqual([null, []]);
});
