/** Before a machine goes its logs are copied whole, or what is missing is said. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Report } from '../../../src/core/reporter.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import type { RemoteProcess, Transport } from '../../../src/transport/transport.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { down } from '../../../src/workflows/down.ts';
import { follow } from '../../../src/workflows/follow.ts';
import { reachMachine } from '../../../src/workflows/reach-machine.ts';
import { up } from '../../../src/workflows/up.ts';
import { buildRunner, kill, pipeTransport, processesHolding, specOf, until } from '../../support/runner.ts';
import { jobEntry } from '../cli/entries.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

let folder: string;
let script: string;
let fake: FakeContext;
let context: RunContext;
let machine: MachineEntry;
let connect: () => Transport;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-save-'));
  script = buildRunner(folder);
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await until(() => {
    const left = processesHolding(folder);
    for (const pid of left) kill(pid);
    return left.length === 0;
  }, 'the end of the runners');
});
beforeEach(async () => {
  fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const home = mkdtempSync(join(folder, 'home-'));
  connect = () => pipeTransport({ PATH: process.env['PATH'], HOME: home, METADATA_SERVER_DETECTION: 'none' });
  context = { ...fake.context, connect: () => connect(), runner: { ...fake.context.runner, file: script, version: 'test-1' } };
  machine = (await up(fakeInput, context)).machine;
});
afterEach(() => fake[Symbol.dispose]());

/** A job that nobody follows, at its end. */
async function runDetached(command: string, splitLog = false): Promise<string> {
  const spec = specOf(command, { splitLog });
  context.ledger.putJob(jobEntry(null, { id: spec.id, machineId: machine.id, machineName: machine.name }));
  await using reached = await reachMachine(machine, context);
  await reached.runner.call('submit', { spec });
  await until(async () => (await reached.runner.call('jobs', {})).jobs.some(({ id, state }) => id === spec.id && state === 'ended'), 'the end of the job');
  return spec.id;
}

const copyOf = (id: string, name: string) => readFileSync(join(context.home.jobs, id, name), 'utf8');
const warnings = () => fake.reports.flatMap((report: Report) => (report.type === 'note' && report.level === 'warn' ? [report.text] : []));
const end = () => down({ names: [machine.name], all: false }, context);

test('of jobs that nobody followed, and of such as were only looked at', async () => {
  const split = await runDetached('seq 50000; seq 20000 >&2', true);
  const seen = await runDetached('seq 1000');
  await follow({ jobId: seen, after: 0, tailLines: 2, follow: true }, context, () => {});
  await end();
  const lines = (count: number) => Array.from({ length: count }, (_, n) => `${n + 1}\n`).join('');
  expect(copyOf(split, 'log') === lines(50_000)).toBe(true);
  expect(copyOf(split, 'err') === lines(20_000)).toBe(true);
  expect(copyOf(seen, 'log') === lines(1_000)).toBe(true);
  expect(context.ledger.getJob(split)).toMatchObject({ state: 'ended', end: { code: 0 } });
  expect(warnings()).toEqual([]);
  expect(fake.reports.filter(({ type }) => type === 'progress').at(-1)).toMatchObject({ phase: 'logs', unit: 'bytes' });
});

/** Takes the connection, and then says nothing. */
function silentTransport(): Transport {
  const { promise: exit, reject } = Promise.withResolvers<never>();
  exit.catch(() => {});
  const exec: Transport['exec'] = (_argv, options) => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const stop = () => {
      stdout.destroy();
      stderr.destroy();
      reject(options?.signal?.reason ?? new Error('killed'));
    };
    options?.signal?.addEventListener('abort', stop, { once: true });
    return { stdin, stdout, stderr, exit, kill: stop } satisfies RemoteProcess;
  };
  return { ...pipeTransport(), exec };
}

test('a machine that has died holds its own end up for half a minute, and what is missing is said', async () => {
  const id = await runDetached('seq 10');
  connect = silentTransport;
  const ended = end();
  await until(async () => {
    await fake.clock.advance(5_000);
    return context.ledger.get(machine.id)?.state === 'gone';
  }, 'the end of the machine');
  await ended;
  expect(warnings()).toEqual([`Of the log of ${id} this computer lacks what came behind byte 0: the machine sent nothing for 30 s.`]);
});

test('Ctrl-C leaves the copy out, not the end of the machine', async () => {
  const id = await runDetached('seq 10');
  connect = silentTransport;
  const ended = end();
  await until(() => fake.reports.some((report) => report.type === 'phase' && report.phase === 'logs'), 'the copy');
  fake.abort.abort();
  await ended;
  expect(context.ledger.get(machine.id)?.state).toBe('gone');
  expect(warnings()).toEqual([expect.stringMatching(new RegExp(`^Of the log of ${id} .*: interrupted`))]);
});
