/** A machine watched through the real runner, over pipes instead of SSH: jobs, telemetry, metrics, log, and connections that end. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import type { RemoteProcess, Transport } from '../../../src/transport/transport.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { reachMachine } from '../../../src/workflows/reach-machine.ts';
import { openTop } from '../../../src/workflows/top.ts';
import type { TopEvent } from '../../../src/workflows/top-event.ts';
import { createTopModel } from '../../../src/workflows/top-model.ts';
import { buildRunner, kill, pipeTransport, processesHolding, until } from '../../support/runner.ts';
import { machineEntry } from '../cli/entries.ts';
import { createFakeContext } from './fake-context.ts';

const folder = mkdtempSync(join(tmpdir(), 'gpu-run-top-'));
const runnerFile = buildRunner(folder);

afterAll(async () => {
  await until(() => {
    const left = processesHolding(folder);
    for (const pid of left) kill(pid);
    return left.length === 0;
  }, 'the end of the runner');
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
});

interface Place extends Disposable {
  readonly context: RunContext;
  readonly machine: MachineEntry;
  /** Ends the open connections, as a network does. */
  cut(): void;
  start(id: string, script: string): Promise<void>;
}

function createPlace(): Place {
  const fake = createFakeContext(() => ({}));
  const open = new Set<RemoteProcess>();
  const pipes = pipeTransport({ PATH: process.env['PATH'], HOME: folder });
  const exec: Transport['exec'] = (argv, options) => {
    const remote = pipes.exec(argv, options);
    open.add(remote);
    void remote.exit.catch(() => {}).finally(() => open.delete(remote));
    return remote;
  };
  const context: RunContext = {
    ...fake.context,
    clock: systemClock,
    connect: () => ({ ...pipes, exec }),
    runner: { file: runnerFile, version: 'test-1', cache: fake.context.home.cache },
  };
  const { state: _, ref: __, holder: ___, ...intent } = machineEntry({ deadline: Date.now() + 3_600_000 });
  context.ledger.open({ ...intent, provider: 'fake', holder: ownIdentity() });
  const machine = context.ledger.note(intent.id, { fact: 'ready', access: { kind: 'own', host: '127.0.0.1', port: 9, user: 'x', hostKeys: [] } });
  return {
    context,
    machine,
    cut: () => {
      for (const remote of open) remote.kill('SIGKILL');
    },
    async start(id, script) {
      await using reached = await reachMachine(machine, context);
      const empty = { gpus: null, setup: null, env: {}, secrets: {}, outputs: [], metrics: {}, graceMs: 1000, resumeFrom: null };
      await reached.runner.call('submit', { spec: { id, attempt: 1, command: { kind: 'argv', argv: ['sh', '-c', script] }, ...empty } });
    },
    [Symbol.dispose]: () => {
      for (const remote of open) remote.kill('SIGKILL');
      fake[Symbol.dispose]();
    },
  };
}

test('jobs, telemetry, metrics and log; over a connection that is cut; another job on request', async () => {
  using place = createPlace();
  const go = join(folder, 'go');
  await place.start(
    'job-20261121-aaaaaa',
    `echo '{"step":1,"loss":2}'; echo first; until [ -e ${go} ]; do sleep 0.05; done; echo '{"step":2,"loss":1}'; echo second`,
  );
  const events: TopEvent[] = [];
  const model = createTopModel();
  const leave = new AbortController();
  const top = openTop({ machine: place.machine, everyMs: 500, looks: null }, { ...place.context, signal: leave.signal }, (event) => {
    events.push(event);
    model.apply(event);
  });
  top.done.catch(() => {});
  await until(() => model.view()?.log.includes('first') && model.view()?.sample && model.view()?.training.step, 'the first line, metrics and look');
  expect(model.view()).toMatchObject({
    link: { state: 'connected' },
    job: { id: 'job-20261121-aaaaaa', state: 'running' },
    training: { step: 1, last: { loss: 2 } },
  });
  expect(model.view()?.sample?.host.cpus).toBeGreaterThan(0);

  place.cut();
  await until(() => model.view()?.link.state === 'reconnecting', 'the loss of the connection');
  await place.start('job-20261121-bbbbbb', 'echo other');
  await until(() => model.view()?.link.state === 'connected', 'another connection');
  writeFileSync(go, '');
  await until(
    () => events.some((event) => event.type === 'job' && event.id === 'job-20261121-bbbbbb') && model.view()?.log.includes('other'),
    'the job that runs next',
  );

  top.choose('job-20261121-aaaaaa');
  await until(() => model.view()?.log.includes('second'), 'the first job again');
  expect(model.view()).toMatchObject({
    job: { id: 'job-20261121-aaaaaa', state: 'ended' },
    training: { step: 2, last: { loss: 1 } },
    log: ['{"step":1,"loss":2}', 'first', '{"step":2,"loss":1}', 'second'],
  });
  leave.abort();
  await expect(top.done).rejects.toThrow();
});

test('so many looks, with all that there is of the job, and the end', async () => {
  using place = createPlace();
  const events: TopEvent[] = [];
  await openTop({ machine: place.machine, everyMs: 500, looks: 1 }, place.context, (event) => void events.push(event)).done;
  expect(events.filter(({ type }) => type === 'sample')).toHaveLength(1);
  expect(events.findIndex(({ type }) => type === 'log')).toBeLessThan(events.findIndex(({ type }) => type === 'sample'));
});

test('a reader that does not read is no machine that does not answer', async () => {
  using place = createPlace();
  let ahead = 0;
  let looks = 0;
  const clock: RunContext['clock'] = {
    ...systemClock,
    now: () => Date.now() + ahead,
    sleep: (ms, signal) => {
      if (ms === 1_000) looks += 1; // for silence
      return systemClock.sleep(ms / 20, signal);
    },
  };
  const links: string[] = [];
  const leave = new AbortController();
  const top = openTop({ machine: place.machine, everyMs: 500, looks: null }, { ...place.context, clock, signal: leave.signal }, async (event) => {
    if (event.type === 'link') links.push(event.state);
    if (event.type !== 'sample') return;
    ahead += 20_000;
    const before = looks;
    await until(() => looks > before + 2, 'looks for silence');
    leave.abort();
  });
  await expect(top.done).rejects.toThrow();
  expect(links).toEqual(['connecting', 'connected']);
});

test('a machine that can not be reached at first is an error, not something to wait for', async () => {
  using fake = createFakeContext(() => ({}));
  const { state: _, ref: __, holder: ___, ...intent } = machineEntry();
  fake.context.ledger.open({ ...intent, provider: 'fake', holder: ownIdentity() });
  const machine = fake.context.ledger.note(intent.id, { fact: 'ready', access: { kind: 'own', host: '127.0.0.1', port: 9, user: 'x', hostKeys: [] } });
  await expect(openTop({ machine, everyMs: 500, looks: null }, fake.context, () => {}).done).rejects.toMatchObject({ code: 'connection' });
});
