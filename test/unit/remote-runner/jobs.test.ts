/** Jobs through real runner processes: how they are started, what they see, how they end. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, followToEnd, runJob, specOf, statesOf, summaryOf, type TestMachine, until } from '../../support/runner.ts';

const built = useBuiltRunner();
let machine: TestMachine;
let client: RunnerClient;

beforeEach(async () => {
  machine = createMachine(built.script);
  client = await machine.connect();
});
afterEach(() => machine[Symbol.asyncDispose]());

describe('how a job ends', () => {
  test.each([
    ['exit 0', 'true', { code: 0, signal: null, reason: 'exit' }],
    ['exit 37', 'exit 37', { code: 37, signal: null, reason: 'exit' }],
    ['exit 255', 'exit 255', { code: 255, signal: null, reason: 'exit' }],
    ['SIGKILL', 'kill -KILL $$', { code: 137, signal: 'SIGKILL', reason: 'signal' }],
    ['SIGTERM', 'kill -TERM $$', { code: 143, signal: 'SIGTERM', reason: 'signal' }],
    ['SIGSEGV', 'kill -SEGV $$', { code: 139, signal: 'SIGSEGV', reason: 'signal' }],
  ] as const)('%s', async (_, command, end) => {
    const { summary, records, log } = await runJob(client, specOf(command));
    expect(summary).toMatchObject({ state: 'ended', end });
    expect(statesOf(records)).toEqual(['queued', 'running', 'ended']);
    expect(records.map(({ n }) => n)).toEqual(records.map((_record, index) => index + 1));
    expect(log.toString()).toBe(''); // no "Killed" of some shell
  });

  test.each([
    [['no-such-program-anywhere'], 127, 'no-such-program-anywhere: command not found'],
    [['./no-such-file'], 127, './no-such-file: no such file'],
    [['./not-executable'], 126, './not-executable: permission denied'],
    [['/'], 126, '/: is a folder'],
  ] as const)('%s can not be started', async (argv, code, words) => {
    writeFileSync(join(machine.workdir, 'not-executable'), 'x');
    chmodSync(join(machine.workdir, 'not-executable'), 0o644);
    const { summary, log } = await runJob(client, specOf(argv));
    expect(summary.end).toMatchObject({ code, reason: 'not-started' });
    expect(log.toString()).toContain(words);
  });

  test('more arguments than the system takes', async () => {
    const { summary, log } = await runJob(client, specOf(['true', ...Array.from({ length: 30 }, () => 'x'.repeat(120_000))]));
    expect(summary.end).toMatchObject({ code: 126, reason: 'not-started' });
    expect(log.toString()).toContain('E2BIG');
  });
});

/** The oldest Node that the runner promises to run on, where this computer has one. */
const node20 = '/usr/bin/node';
const hasNode20 = existsSync(node20) && execFileSync(node20, ['--version'], { encoding: 'utf8' }).startsWith('v20.');

test.skipIf(!hasNode20)('the runner runs on Node 20', async () => {
  await using old = createMachine(built.script, { node: node20 });
  const oldClient = await old.connect();
  expect((await oldClient.call('hello', {})).nodeVersion).toMatch(/^20\./);
  const spec = specOf(`echo '{"loss": 1}'; acc=1; echo "acc 7"; exit 5`, { setup: 'echo set up', metrics: { acc: 'acc (\\d+)' }, secrets: { A: 'b' } });
  const { summary, log, records } = await runJob(oldClient, spec);
  expect(summary.end).toMatchObject({ code: 5 });
  expect(log.toString()).toBe('set up\n{"loss": 1}\nacc 7\n');
  expect(records.filter(({ type }) => type === 'metric')).toHaveLength(2);
  const endless = specOf('sleep 60');
  await oldClient.call('submit', { spec: endless });
  expect((await oldClient.call('cancel', { id: endless.id, graceMs: 100 })).end).toMatchObject({ reason: 'cancelled' });
  await oldClient.call('shutdown', { graceMs: 0 });
});

describe('what runs', () => {
  test('words exactly as they are, no shell between', async () => {
    const words = ['a b', "it's", '$HOME', '`id`', '*', '', '-n', 'new\nline', 'ünï', '\\', '"'];
    const { log } = await runJob(client, specOf(['printf', '<%s>', ...words]));
    expect(log.toString()).toBe(words.map((word) => `<${word}>`).join(''));
  });

  test('programs that share a name with a builtin of the shell', async () => {
    writeFileSync(join(machine.workdir, 'exit'), '#!/bin/sh\necho "program $1"\n', { mode: 0o755 });
    const { log, summary } = await runJob(client, specOf(['exit', '5'], { env: { PATH: `${machine.workdir}:${process.env['PATH']}` } }));
    expect(log.toString()).toBe('program 5\n');
    expect(summary.end).toMatchObject({ code: 0 });
  });

  test('a line of text, by bash where there is one', async () => {
    const { log } = await runJob(client, specOf('for x in one two; do echo "$x"; done | tr a-z A-Z; [[ a == a ]] && echo bash'));
    expect(log.toString()).toBe('ONE\nTWO\nbash\n');
  });

  test('in the workdir, with nothing on stdin, stdout and stderr in one file in order', async () => {
    const { log } = await runJob(client, specOf('pwd; echo to stderr >&2; echo "read: $(cat)"; [ -t 1 ] || echo no terminal'));
    expect(log.toString()).toBe(`${machine.workdir}\nto stderr\nread: \nno terminal\n`);
    expect(readFileSync(machine.jobFile((await client.call('jobs', {})).jobs[0]?.id ?? '', 'log'))).toEqual(log);
  });

  test('in a process session of its own, leading it', async () => {
    const { log } = await runJob(client, specOf('echo $$; ps -o comm= -p $(ps -o sid= -p $$)'));
    expect(log.toString().trim().split('\n')[1]).toBe('sh');
  });

  test('SIGINT reaches a command with its default meaning', async () => {
    const spec = specOf(['sh', '-c', 'trap "echo interrupted; exit 3" INT; echo ready; while :; do sleep 0.05; done']);
    await client.call('submit', { spec });
    await until(() => existsSync(machine.jobFile(spec.id, 'log')) && readFileSync(machine.jobFile(spec.id, 'log'), 'utf8').includes('ready'), 'the job');
    const [pid] = readFileSync(machine.jobFile(spec.id, 'pid'), 'utf8').split('\n');
    process.kill(-Number(pid), 'SIGINT');
    const { log } = await followToEnd(client, spec.id);
    expect(log.toString()).toBe('ready\ninterrupted\n');
    expect((await summaryOf(client, spec.id)).end).toMatchObject({ code: 3, reason: 'exit' });
  });
});

describe('the environment', () => {
  test('what every job is given, and what it brings', async () => {
    const spec = specOf('env -0', {
      attempt: 2,
      env: { GREETING: 'hello there', LINES2: 'a\nb' },
      secrets: { TOKEN: 'tok' },
      outputs: ['outputs/'],
      resumeFrom: 'ckpt/7',
    });
    mkdirSync(join(machine.workdir, 'ckpt'));
    writeFileSync(join(machine.workdir, 'ckpt/7'), '');
    const { log } = await runJob(client, spec);
    const env = Object.fromEntries(
      log
        .toString()
        .split('\0')
        .filter(Boolean)
        .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
    );
    expect(env).toMatchObject({
      PYTHONUNBUFFERED: '1',
      GPU_RUN_JOB: spec.id,
      GPU_RUN_ATTEMPT: '2',
      GPU_RUN_RESUME_FROM: join(machine.workdir, 'ckpt/7'),
      GPU_RUN_CHECKPOINT_DIR: join(machine.workdir, 'outputs/checkpoints'),
      GPU_RUN_METRICS_FILE: machine.jobFile(spec.id, 'metrics.jsonl'),
      GPU_RUN_RANK: '0',
      GPU_RUN_NODES: '1',
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: expect.stringMatching(/^[1-9]\d+$/),
      GREETING: 'hello there',
      LINES2: 'a\nb',
      TOKEN: 'tok',
    });
    expect(env['PATH']?.endsWith(`:${dirname(machine.installed.argv[0] ?? '')}`)).toBe(true);
  });

  test('variables of any name reach the command as they were given', async () => {
    const env = { d: '1', started: '2', boot: '3', code: '4', PATH: '/opt/nothing' };
    const { log } = await runJob(client, specOf([process.execPath, '-p', 'JSON.stringify(process.env)'], { env }));
    expect(JSON.parse(log.toString())).toMatchObject({ ...env, PATH: `/opt/nothing:${dirname(machine.installed.argv[0] ?? '')}` });
  });

  test('a PATH without a single program does not keep the command from being run, or from being missed', async () => {
    const env = { PATH: '/opt/nothing' };
    const ran = await runJob(client, specOf(['/bin/sh', '-c', 'echo "$PATH"; exit 3'], { env }));
    expect(ran.log.toString()).toBe(`/opt/nothing:${dirname(machine.installed.argv[0] ?? '')}\n`);
    expect(ran.summary.end).toMatchObject({ code: 3, reason: 'exit' });
    expect((await runJob(client, specOf(['env'], { env }))).summary.end).toMatchObject({ code: 127, detail: 'env: command not found' });
  });

  test('a job can not pretend to be another one', async () => {
    const spec = specOf('echo "$GPU_RUN_JOB"', { env: { GPU_RUN_JOB: 'somebody-else' } });
    expect((await runJob(client, spec)).log.toString()).toBe(`${spec.id}\n`);
  });
});

describe('the queue', () => {
  test('one at a time, in the order of submission', async () => {
    const specs = Array.from({ length: 5 }, (_, n) => specOf(`echo begin ${n} >> order; sleep 0.05; echo end ${n} >> order`));
    for (const spec of specs) await client.call('submit', { spec });
    for (const spec of specs) await followToEnd(client, spec.id);
    const order = readFileSync(join(machine.workdir, 'order'), 'utf8').trim().split('\n');
    expect(order).toEqual(specs.flatMap((_, n) => [`begin ${n}`, `end ${n}`]));
  });

  test('the same id again, even at the same moment on other connections, starts nothing', async () => {
    const spec = specOf('echo once >> count');
    const others = await Promise.all([machine.connect(), machine.connect()]);
    const answers = await Promise.all([client, ...others, client].map((each) => each.call('submit', { spec })));
    expect(new Set(answers.map(({ id, createdAt }) => `${id} ${createdAt}`)).size).toBe(1);
    await followToEnd(client, spec.id);
    await client.call('submit', { spec });
    await runJob(client, specOf('true'));
    expect(readFileSync(join(machine.workdir, 'count'), 'utf8')).toBe('once\n');
    expect((await client.call('jobs', {})).jobs).toHaveLength(2);
  });

  test('a waiting job is cancelled without being started', async () => {
    const first = specOf('sleep 60');
    const second = specOf('touch started');
    await client.call('submit', { spec: first });
    await client.call('submit', { spec: second });
    expect(await client.call('cancel', { id: second.id, graceMs: null })).toMatchObject({
      state: 'ended',
      end: { code: null, reason: 'cancelled' },
      startedAt: null,
    });
    const { records } = await followToEnd(client, second.id);
    expect(statesOf(records)).toEqual(['queued', 'ended']);
    await client.call('cancel', { id: first.id, graceMs: 0 });
    expect(existsSync(join(machine.workdir, 'started'))).toBe(false);
  });

  test.each([
    ['an id that leaves the folder', { id: '../escape' }],
    ['no command', { command: { kind: 'argv' as const, argv: [] } }],
    ['an empty line', { command: { kind: 'shell' as const, text: '  ' } }],
    ['NUL in a word', { command: { kind: 'argv' as const, argv: ['echo', 'a\0b'] } }],
    ['a variable without a name', { env: { '': 'x' } }],
    ['a pattern that is none', { metrics: { loss: '(' } }],
    ['a negative grace', { graceMs: -1 }],
  ])('%s is refused', async (_, more) => {
    await expect(client.call('submit', { spec: specOf('true', more) })).rejects.toMatchObject({ name: 'GpuRunError', code: 'bad-input' });
    expect((await client.call('jobs', {})).jobs).toEqual([]);
  });

  test('a job that is not there', async () => {
    await expect(client.call('cancel', { id: 'job-nobody-knows', graceMs: null })).rejects.toMatchObject({ code: 'not-found' });
    await expect(client.open('follow', { id: 'job-nobody-knows', logOffset: 0, record: 0, follow: true }).result).rejects.toMatchObject({ code: 'not-found' });
    await expect(client.open('no-such-call', {}).result).rejects.toMatchObject({ code: 'protocol' });
  });
});

test('a job damages what is known of it: what is left is told, and all of the others', async () => {
  const [odd, other] = [specOf('true'), specOf('true')];
  for (const spec of [odd, other]) await runJob(client, spec);
  const whole = await summaryOf(client, odd.id);
  mkdirSync(machine.jobFile('no id', '.'), { recursive: true });
  for (const [name, text, told] of [
    ['state.json', '{}', {}],
    ['state.json', '{"state":"ended","end"', {}],
    ['job.json', '{"command":{"kind":"shell","text":"true"}}', { command: '(its order was damaged)', createdAt: 0 }],
    ['grant.json', '{"gpus":[{"index":"0"}]}', {}],
  ] as const) {
    const file = machine.jobFile(odd.id, name);
    const before = readFileSync(file);
    writeFileSync(file, text);
    const { jobs } = await client.call('jobs', {});
    writeFileSync(file, before);
    expect(jobs.find(({ id }) => id === other.id)).toMatchObject({ state: 'ended', command: 'true' });
    expect(jobs.find(({ id }) => id === odd.id)).toEqual({ ...whole, ...told });
  }
});

test('a job that has damaged all that is known of it may well run', async () => {
  const spec = specOf('true');
  await runJob(client, spec);
  await until(() => readFileSync(machine.jobFile(spec.id, 'state.json'), 'utf8').includes('"ended"'), 'the last word of the runner');
  for (const name of ['state.json', 'journal.jsonl']) writeFileSync(machine.jobFile(spec.id, name), '{"n":1,"t":1,"type":"state","state":7}\n');
  expect(await summaryOf(client, spec.id)).toMatchObject({ state: 'running', end: null });
});

test('the state of a job that waits is damaged: it has its turn, and so has the next', async () => {
  const [first, odd, last] = [specOf('until [ -e go ]; do sleep 0.02; done'), specOf('exit 3'), specOf('exit 4')];
  for (const spec of [first, odd, last]) await client.call('submit', { spec });
  await until(() => existsSync(machine.jobFile(odd.id, 'state.json')), 'its state');
  writeFileSync(machine.jobFile(odd.id, 'state.json'), 'null?');
  expect((await client.call('jobs', {})).jobs.map(({ state }) => state)).toEqual([expect.any(String), 'queued', 'queued']);
  writeFileSync(join(machine.workdir, 'go'), '');
  expect((await followToEnd(client, last.id)).records.at(-1)).toMatchObject({ state: 'ended', end: { code: 4 } });
  expect(await summaryOf(client, odd.id)).toMatchObject({ state: 'ended', end: { code: 3 } });
});
