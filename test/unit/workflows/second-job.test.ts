/** Two trains on one machine that was rented for the first one's job: what happens to the second costs the first nothing. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { Report } from '../../../src/core/reporter.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { status } from '../../../src/workflows/status.ts';
import { train } from '../../../src/workflows/train.ts';
import { up } from '../../../src/workflows/up.ts';
import { until } from '../../support/runner.ts';
import { takenMachines } from './taken-machines.ts';

const prepare = takenMachines();

test.each([
  ['waits in the queue', / waits for /],
  ['is being sent', /^Starting job/],
  ['is not known to anybody yet', /^Syncing to/],
])('a job that %s is interrupted: the one that runs goes on, and its train takes the machine down', async (_when, at) => {
  const { context, inputOf, project, provider } = await prepare();
  const go = join(mkdtempSync(join(dirname(project), 'go-')), 'go');
  let isAtWork = false;
  const first = train(inputOf('echo at work; until [ -e "$GO" ]; do sleep 0.02; done', { env: { GO: go } }), context, async (event) => {
    if (event.type === 'log') isAtWork = true;
  });
  first.catch(() => {});
  await until(() => isAtWork, 'the first job');
  const abort = new AbortController();
  const texts: string[] = [];
  const report = (what: Report) => {
    if (!('text' in what)) return;
    texts.push(what.text);
    if (at.test(what.text)) abort.abort();
  };
  const second = train(inputOf('echo never'), { ...context, signal: abort.signal, reporter: { report } }, async () => {});
  await expect(second).rejects.toMatchObject({ code: 'interrupted' });
  const [job] = context.ledger.listJobs().filter(({ state }) => state !== 'ended');
  expect([texts.at(-1), provider.machines[0]?.goneAt]).toEqual([`'cats' stays up for ${job?.id}`, null]);
  writeFileSync(go, '');
  expect(await first).toMatchObject({ job: { id: job?.id, end: { code: 0 } }, machineDown: true });
});

test('a train that is still preparing when the only job ends: the machine stays for it, and goes down with its job', async () => {
  const { context, inputOf, project, provider } = await prepare();
  const go = join(mkdtempSync(join(dirname(project), 'go-')), 'go');
  let isAtWork = false;
  const first = train(inputOf('echo at work; until [ -e "$GO" ]; do sleep 0.02; done', { env: { GO: go } }), context, async (event) => {
    if (event.type === 'log') isAtWork = true;
  });
  first.catch(() => {});
  await until(() => isAtWork, 'the first job');
  const connect = (machine: MachineEntry) => {
    const line = context.connect(machine);
    const late = async (signal: AbortSignal) => {
      writeFileSync(go, '');
      await first;
      await line.connect(signal);
    };
    return { ...line, connect: late };
  };
  const second = train(inputOf('echo second'), { ...context, connect }, async () => {});
  expect(await first).toMatchObject({ job: { end: { code: 0 } }, machineDown: false });
  expect(await second).toMatchObject({ job: { end: { code: 0 } }, machineDown: true });
  expect(provider.machines).toHaveLength(1);
});

test('a job whose outputs nobody waited for: no other job takes down the machine that still has them', async () => {
  const { context, inputOf, project, provider } = await prepare();
  const [go, goSecond] = ['go', 'go-second'].map((name) => join(mkdtempSync(join(dirname(project), 'go-')), name));
  const waits = (file: string | undefined) => `until [ -e '${file}' ]; do sleep 0.02; done`;
  const abort = new AbortController();
  const report = (what: Report) => {
    if ('text' in what && what.text.startsWith('Pulling outputs')) abort.abort();
  };
  const input = inputOf(`${waits(go)}; mkdir runs; echo precious > runs/result`, { outputs: ['runs/'] });
  const first = train(input, { ...context, signal: abort.signal, reporter: { report } }, async () => {});
  first.catch(() => {});
  await until(() => context.ledger.listJobs().length === 1, 'the first job');
  const second = train(inputOf(waits(goSecond)), context, async () => {});
  second.catch(() => {});
  await until(() => context.ledger.listJobs().length === 2, 'the second job');
  writeFileSync(go ?? '', '');
  await expect(first).rejects.toMatchObject({ code: 'still-billing' });
  writeFileSync(goSecond ?? '', '');
  expect(await second).toMatchObject({ machineDown: false });
  expect(provider.machines[0]?.goneAt).toBeNull();
});

test('what jobs before it have made on a machine that stays is not told as that of a job', async () => {
  const { context, inputOf } = await prepare();
  const made = async (command: string) => {
    const { job, outputs } = await train(inputOf(command, { outputs: ['runs/'], teardown: 'keep' }), context, async () => {});
    return outputs.map(({ path }) => path.replace(job.id, 'ID').replace(/\d{10}/, 'T'));
  };
  const metrics = ['runs/gpu-run/ID/events.out.tfevents.T.gpu-run.1', 'runs/gpu-run/ID/metrics.jsonl'];
  const first = 'mkdir -p runs; echo 1 > runs/done.txt; echo 1 > runs/last; touch -d 2020-01-01 runs/*; echo "{\\"step\\": 1, \\"loss\\": 0.5}"';
  expect(await made(first)).toEqual(['runs/done.txt', ...metrics, 'runs/last']);
  expect(await made('echo "{\\"step\\": 2, \\"loss\\": 0.5}"')).toEqual(metrics);
  expect(await made('echo 1 > runs/last; echo 2 > runs/new')).toEqual(['runs/last', 'runs/new']);
});

test('a machine that a train has kept stays behind the next one, whether or not its job failed, and also where it was only handed over', async () => {
  for (const [code, detach] of [
    [0, false],
    [3, false],
    [0, true],
  ] as const) {
    const { context, inputOf, provider } = await prepare();
    const ended = detach ? {} : { job: { end: { code } } };
    expect(await train(inputOf(`exit ${code}`, { teardown: 'keep', detach }), context, async () => {})).toMatchObject({ machineDown: false, ...ended });
    expect(await train(inputOf('true'), context, async () => {})).toMatchObject({ machineDown: false });
    expect([provider.machines.length, provider.machines[0]?.goneAt]).toEqual([1, null]);
  }
});

test('a machine that another gpu-run asks for while its logs are copied, right before its end, stays', async () => {
  const { context, inputOf } = await prepare();
  const { job } = await train(inputOf('seq 100', { detach: true }), context, async () => {}); // nobody has its log yet
  await until(async () => {
    await status({ refresh: true, all: false }, context);
    return context.ledger.getJob(job.id)?.state === 'ended';
  }, 'its end');
  let isAsked = false;
  const connect = (machine: MachineEntry) => {
    const line = context.connect(machine);
    const isOver = context.ledger.listJobs().length === 2 && context.ledger.listJobs().every(({ state }) => state === 'ended');
    if (isAsked || !isOver) return line;
    isAsked = true;
    const asks = async (signal: AbortSignal) => {
      expect(await up({ ...inputOf('').up, forOneJob: false }, context)).toMatchObject({ reused: true });
      await line.connect(signal);
    };
    return { ...line, connect: asks };
  };
  expect(await train(inputOf('echo one'), { ...context, connect }, async () => {})).toMatchObject({ machineDown: false });
  expect([isAsked, context.ledger.list({ live: true }).map(({ state }) => state)]).toEqual([true, ['ready']]);
});
