/** Before a machine goes its logs are copied whole, or what is missing is said. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import type { Report } from '../../../src/core/reporter.ts';
import type { RemoteProcess, Transport } from '../../../src/transport/transport.ts';
import { down } from '../../../src/workflows/down.ts';
import { follow } from '../../../src/workflows/follow.ts';
import { pipeTransport, until } from '../../support/runner.ts';
import { runOn, usePipedMachine } from './piped-machine.ts';

const piped = usePipedMachine();

const copyOf = (id: string, name: string) => readFileSync(join(piped.context.home.jobs, id, name), 'utf8');
const warnings = () => piped.fake.reports.flatMap((report: Report) => (report.type === 'note' && report.level === 'warn' ? [report.text] : []));
const end = () => down({ names: [piped.machine.name], all: false }, piped.context);

test('of jobs that nobody followed, and of such as were only looked at', async () => {
  const split = await runOn(piped, 'seq 50000; seq 20000 >&2', true);
  const seen = await runOn(piped, 'seq 1000');
  await follow({ jobId: seen, after: 0, tailLines: 2, follow: true }, piped.context, () => {});
  await end();
  const lines = (count: number) => Array.from({ length: count }, (_, n) => `${n + 1}\n`).join('');
  expect(copyOf(split, 'log') === lines(50_000)).toBe(true);
  expect(copyOf(split, 'err') === lines(20_000)).toBe(true);
  expect(copyOf(seen, 'log') === lines(1_000)).toBe(true);
  expect(piped.context.ledger.getJob(split)).toMatchObject({ state: 'ended', end: { code: 0 } });
  expect(warnings()).toEqual([]);
  expect(piped.fake.reports.filter(({ type }) => type === 'progress').at(-1)).toMatchObject({ phase: 'logs', unit: 'bytes' });
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
    if (options?.signal?.aborted === true) stop();
    options?.signal?.addEventListener('abort', stop, { once: true });
    return { stdin, stdout, stderr, exit, kill: stop } satisfies RemoteProcess;
  };
  return { ...pipeTransport(), exec };
}

test('a machine that has died holds its own end up for half a minute, and what is missing is said', async () => {
  const id = await runOn(piped, 'seq 10');
  piped.connect = silentTransport;
  const ended = end();
  await until(async () => {
    await piped.fake.clock.advance(5_000);
    return piped.context.ledger.get(piped.machine.id)?.state === 'gone';
  }, 'the end of the machine');
  await ended;
  expect(warnings()).toEqual([`Of the log of ${id} this computer lacks what came behind byte 0: the machine sent nothing for 30 s.`]);
});

test('Ctrl-C leaves the copy out, not the end of the machine', async () => {
  const id = await runOn(piped, 'seq 10');
  piped.connect = silentTransport;
  const ended = end();
  await until(() => piped.fake.reports.some((report) => report.type === 'phase' && report.phase === 'logs'), 'the copy');
  piped.fake.abort.abort();
  await ended;
  expect(piped.context.ledger.get(piped.machine.id)?.state).toBe('gone');
  expect(warnings()).toEqual([expect.stringMatching(new RegExp(`^Of the log of ${id} .*: interrupted`))]);
});
