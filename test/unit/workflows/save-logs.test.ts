/** Before a machine goes its logs are copied whole, or what is missing is said. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import type { Report } from '../../../src/core/reporter.ts';
import type { RemoteProcess, Transport } from '../../../src/transport/transport.ts';
import { down } from '../../../src/workflows/down.ts';
import { follow } from '../../../src/workflows/follow.ts';
import { pipeTransport, until } from '../../support/runner.ts';
import { jobEntry } from '../cli/entries.ts';
import { runOn, usePipedMachine } from './piped-machine.ts';

const piped = usePipedMachine();

const copyOf = (id: string, name: string) => readFileSync(join(piped.context.home.jobs, id, name), 'utf8');
const warnings = () => piped.fake.reports.flatMap((report: Report) => (report.type === 'note' && report.level === 'warn' ? [report.text] : []));
const end = () => down({ names: [piped.machine.name], all: false }, piped.context);

test('of jobs that nobody followed, and of such as were only looked at', async () => {
  const split = await runOn(piped, 'seq 50000; seq 20000 >&2', { splitLog: true });
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

test('each log for itself: what is wrong with one is said, and no reason to leave another behind', async () => {
  const { id: machineId, name: machineName } = piped.machine;
  const { jobs } = piped.context.home;
  const neverThere = (id: string, createdAt: number) => piped.context.ledger.putJob(jobEntry(null, { id, machineId, machineName, createdAt }));
  neverThere('job-20261121-aaaaaa', 1);
  const ids = [await runOn(piped, 'seq 10'), await runOn(piped, 'seq 100'), await runOn(piped, 'seq 1000')];
  neverThere('job-20261121-zzzzzz', Number.MAX_SAFE_INTEGER);
  const [strange = '', unwritable = '', whole = ''] = ids;
  for (const id of [strange, unwritable]) mkdirSync(join(jobs, id), { recursive: true });
  appendFileSync(join(jobs, strange, 'log'), 'more than the machine has, and no record');
  symlinkSync('/dev/full', join(jobs, unwritable, 'log'));
  await end();
  expect(copyOf(whole, 'log')).toHaveLength(3893);
  const missing = warnings().filter((text) => text.startsWith('Of the log of'));
  expect(missing).toHaveLength(2);
  expect(missing).toContainEqual(expect.stringMatching(new RegExp(`${strange} this computer lacks how the job ended: The log has 21 bytes`)));
  expect(missing).toContainEqual(expect.stringMatching(new RegExp(`${unwritable} this computer lacks bytes 0 to 292 .*: it could not be written here`)));
  expect(piped.fake.reports).not.toContainEqual(expect.objectContaining({ phase: 'logs', status: 'end' }));
});

test('of a machine whose power was cut, so that we have more of the log than it has, the end is copied', async () => {
  const id = await runOn(piped, 'seq 1000');
  await follow({ jobId: id, after: 0, tailLines: null, follow: true }, piped.context, () => {});
  const folder = join(piped.context.home.jobs, id);
  writeFileSync(join(folder, 'journal.jsonl'), copyOf(id, 'journal.jsonl').replace(/.*\n$/, '')); // the end was not told yet
  appendFileSync(join(folder, 'log'), '1001\n1002\n');
  await end();
  expect(copyOf(id, 'journal.jsonl')).toContain('"state":"ended"');
  expect(warnings()).toEqual([]);
});

test('of a machine whose disk has lost what is here, and has written something else in its place: that is what is kept, and the other beside it', async () => {
  const id = await runOn(piped, 'seq 1000; until [ -e go ]; do sleep 0.02; done', { until: 'running' });
  const machineFile = (name: string) => join(piped.home, '.gpu-run/machines', piped.machine.id, name);
  const log = machineFile(`jobs/${id}/log`);
  await until(() => existsSync(log) && readFileSync(log, 'utf8').endsWith('1000\n'), 'its lines');
  await follow({ jobId: id, after: 0, tailLines: null, follow: false }, piped.context, () => {});
  const before = copyOf(id, 'log');
  writeFileSync(log, before.replace('\n999\n1000\n', '\n888\n1111\n'), { flag: 'r+' });
  appendFileSync(log, 'more\n');
  await end();
  expect(copyOf(id, 'log')).toBe(`${before.replace('\n999\n1000\n', '\n888\n1111\n')}more\n`);
  expect(copyOf(id, 'log.lost-at-0')).toBe(before);
  expect(warnings()).toEqual([expect.stringContaining('is not what was received here')]);
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

test('hours that this computer sleeps are no silence of the machine; Ctrl-C leaves the copy out, not the machine’s end', async () => {
  const id = await runOn(piped, 'seq 10');
  piped.connect = silentTransport;
  const ended = end();
  await until(() => piped.fake.reports.some((report) => report.type === 'phase' && report.phase === 'logs'), 'the copy');
  await piped.fake.clock.jump(3_600_000);
  piped.fake.abort.abort();
  await ended;
  expect(piped.context.ledger.get(piped.machine.id)?.state).toBe('gone');
  expect(warnings()).toEqual([expect.stringMatching(new RegExp(`^Of the log of ${id} .*: interrupted`))]);
});
