/** The command line as a user meets it, as far as no machine is needed. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { openSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts';
import { createPlace, type Place } from './call.ts';
import { jobEntry, machineEntry } from './entries.ts';

const { id: jobId } = jobEntry({});

let place: Place;
beforeEach(() => {
  place = createPlace();
});
afterEach(() => place[Symbol.dispose]());

test.each([
  [['trian'], "There is no command 'trian'", 'Did you mean: gpu-run train'],
  [['train', 'sh', '-c', 'exit 37'], 'There is no flag -c', 'gpu-run train -- python train.py'],
  [['train', '--'], 'no command behind --', 'python3 train.py'],
  [['train', '--down', '--keep', '--', 'true'], 'exclude each other', ''],
  [['down', '--all'], 'Nobody can be asked', '--yes'],
  [['up', '--spot=false'], '--spot is on or off and takes no value', 'Write --no-spot'],
  [['up', '--public-ip=no'], '--public-ip is on or off and takes no value', 'Write --no-public-ip'],
  [['status', '--json=true'], '--json is on or off and takes no value', 'Write --json'],
])('gpu-run %j is a usage error that says what was meant', async (argv, message, hint) => {
  rememberMachine(place);
  const { code, stdout, stderr } = await place.call(argv);
  expect(code, stderr).toBe(2);
  expect(stderr).toMatch(/^Error: /);
  expect(stderr).toContain(message);
  expect(stderr).toContain(hint);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stdout).toBe('');
});

test.each([
  ['--json behind the mistake', ['up', '--gup', '--json'], {}],
  ['by environment', ['up', '--gup'], { GPU_RUN_JSON: '1' }],
])('a usage error with JSON asked for: %s', async (_how, argv, env) => {
  const { code, stdout, document } = await place.call(argv, env);
  expect(code).toBe(2);
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  expect(document).toMatchObject({
    schema: 1,
    command: 'up',
    outcome: 'error',
    error: { code: 'usage', message: expect.stringContaining('--gup'), hints: expect.any(Array), cause: null },
  });
});

test('a flag that the environment sets to neither yes nor no is told, each of them', async () => {
  const { code, stderr } = await place.call(['logs'], { GPU_RUN_TIMESTAMPS: 'vielleicht', GPU_RUN_FOLD: 'ja', GPU_RUN_FOLLOW: '' });
  expect(code).toBe(64);
  expect(stderr).toContain("GPU_RUN_TIMESTAMPS: 'vielleicht' is neither yes nor no. Write true or false.");
  expect(stderr).toContain("GPU_RUN_FOLD: 'ja' is neither yes nor no.");
  expect(stderr).not.toContain('GPU_RUN_FOLLOW');
});

test('a flag that the environment sets to on is on, as with settings', async () => {
  expect(await place.call(['init'])).toMatchObject({ code: 0 });
  expect(await place.call(['init'], { GPU_RUN_FORCE: 'on', GPU_RUN_JSON: 'on' })).toMatchObject({ code: 0, document: { outcome: 'ok' } });
});

test('--json behind -- belongs to the command', async () => {
  const { code, stdout } = await place.call(['train', '--gup', '--', 'tool', '--json']);
  expect([code, stdout]).toEqual([2, '']);
});

test('status of an empty state folder: text, and the document', async () => {
  expect(await place.call(['status'])).toMatchObject({ code: 0, stdout: 'Nothing is up.\n', stderr: '' });
  const { document } = await place.call(['status', '--json']);
  expect(document).toEqual({ schema: 1, type: 'result', command: 'status', outcome: 'ok', machines: [], jobs: [] });
});

test('a mistake in a variable is reported under its own name', async () => {
  const { code, stderr } = await place.call(['up'], { GPU_RUN_MAX_TIME: 'soon' });
  expect(code).toBe(64);
  expect(stderr).toContain('GPU_RUN_MAX_TIME');
});

test('flags by environment reach the command', async () => {
  const { document } = await place.call(['cost'], { GPU_RUN_JSON: 'true', GPU_RUN_BY: 'day', GPU_RUN_SINCE: '2026-11-01' });
  expect(document).toMatchObject({ command: 'cost', outcome: 'ok', by: 'day', since: '2026-11-01T00:00:00.000Z', total: { usd: 0 }, items: [] });
});

test('cost as CSV; --json goes before; a day ends the window with its last minute; a limit is a number', async () => {
  const header = 'day,seconds,usd,live,usd_per_hour,price_source,price_as_of,egress_usd\r\n';
  expect(await place.call(['cost', '--csv', '--by', 'day'])).toMatchObject({ code: 0, stdout: header, stderr: '' });
  const backwards = await place.call(['cost', '--json', '--since', '2026-11-22', '--until', '2026-11-20']);
  expect(backwards.document?.error).toMatchObject({ code: 'bad-input', message: expect.stringContaining('no time between') });
  const { document } = await place.call(['cost', '--csv', '--json', '--until', '2026-11-30']);
  expect(document).toMatchObject({ outcome: 'ok', until: '2026-12-01T00:00:00.000Z', total: { usd: 0 }, failed: { count: 0 } });
  expect(await place.call(['cost', '--limit', 'few'])).toMatchObject({ code: 64, stderr: expect.stringContaining('--limit') });
});

test('a state folder that is a file', async () => {
  writeFileSync(place.home, '');
  const { code, stderr } = await place.call(['status']);
  expect([64, 74]).toContain(code);
  expect(stderr).toContain(place.home);
  expect(stderr).not.toMatch(/^\s+at /m);
});

test('init writes a config that is loaded, and overwrites none', async () => {
  const file = join(place.folder, 'gpu-run.yaml');
  expect(await place.call(['init', '--json'])).toMatchObject({ code: 0, document: { command: 'init', outcome: 'ok' } });
  expect(existsSync(file)).toBe(true);
  writeFileSync(file, 'name: mine\n');
  expect(await place.call(['init'])).toMatchObject({ code: 64, stderr: expect.stringContaining('was not touched') });
  expect(readFileSync(file, 'utf8')).toBe('name: mine\n');
  expect(await place.call(['init', '--force'])).toMatchObject({ code: 0 });
  expect(readFileSync(file, 'utf8')).not.toBe('name: mine\n');
});

test('templates, and one of them as it stands', async () => {
  expect((await place.call(['templates'])).stdout).toMatch(/^TEMPLATE +PROVIDER +FROM +DESCRIPTION\n(gcp-\S+ +gcp +built-in .*\n)+local +local +built-in /);
  const { stdout, code } = await place.call(['templates', 'show', 'local']);
  expect(code).toBe(0);
  expect(stdout).toContain('provider: local\n');
  expect(await place.call(['templates', 'show', 'locla'])).toMatchObject({ code: 64, stderr: expect.stringContaining("no template 'locla'") });
});

test('a job that does not exist, and a folder without jobs', async () => {
  expect(await place.call(['logs', 'job-20200101-nosuch'])).toMatchObject({ code: 64, stderr: expect.stringContaining('job-20200101-nosuch') });
  expect(await place.call(['logs'])).toMatchObject({ code: 64, stderr: expect.stringContaining("'cats'") });
  expect(await place.call(['cancel', '--json'])).toMatchObject({ code: 64, document: { command: 'cancel', outcome: 'error', error: { code: 'not-found' } } });
});

test('nothing to run', async () => {
  expect(await place.call(['train'])).toMatchObject({ code: 64, stderr: expect.stringContaining('there is no gpu-run.yaml') });
});

test('the log of a job whose machine is gone: whole, from an offset, its end, as a document', async () => {
  const log = `${Array.from({ length: 1_000 }, (_, index) => `line ${index + 1}`).join('\n')}\n\u001b[1mend\u001b[0m`;
  rememberJob(place, log);
  expect(await place.call(['logs'])).toMatchObject({ code: 0, stdout: log, stderr: '' });
  expect(await place.call(['logs', jobId, '--after', '7'])).toMatchObject({ stdout: log.slice(7) });
  expect(await place.call(['logs', '--after=-11'])).toMatchObject({ stdout: log.slice(-11) });
  expect(await place.call(['logs', '--tail', '2'])).toMatchObject({ stdout: log.slice(log.indexOf('line 1000')) });
  const { document, stdout } = await place.call(['logs', '--json']);
  expect(document).toMatchObject({ command: 'logs', outcome: 'ok', job: { id: jobId, exitCode: 3 }, log });
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
});

test('the log with its times, from a time on, and with folded bars', async () => {
  rememberJob(place, 'begin\n\r10%\r20%\nend\n');
  writeFileSync(join(place.home, 'jobs', jobId, 'log.times'), '6 1000\n19 2000\n');
  const at = (second: number) => `1970-01-01T00:00:0${second}.000Z`;
  const { stdout } = await place.call(['logs', '--timestamps'], { CI: 'true' });
  expect(stdout).toBe(`${at(1)} begin\n${at(2)} 20%\n${at(2)} end\n`);
  expect(await place.call(['logs', '--since', at(2), '--no-fold'], { CI: 'true' })).toMatchObject({ code: 0, stdout: '\r10%\r20%\nend\n', stderr: '' });
  expect(await place.call(['logs', '--since', '1m', '--after', '2'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--after and --since') });
  expect(await place.call(['logs', '--stderr'])).toMatchObject({ code: 64, stderr: expect.stringContaining('one log') });
});

test('with --follow and --json, events come as lines and the document is the last of them', async () => {
  rememberJob(place, 'loss=1\n');
  const { code, stdout, stderr } = await place.call(['logs', '--follow', '--json']);
  expect(code).toBe(0);
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toMatchObject([
    { type: 'log', offset: 0, text: 'loss=1\n' },
    { type: 'state', state: 'ended', exitCode: 3 },
    { type: 'result', schema: 1, command: 'logs', outcome: 'ok', job: { id: jobId } },
  ]);
  expect(stderr).toBe(`${jobId} ended with exit code 3 after 12s\n`);
});

test('`| head` ends quietly and at once', async () => {
  rememberJob(place, 'a line of the log\n'.repeat(500_000));
  const script = '"$0" "$@" | head -1; echo "exit ${PIPESTATUS[0]}"';
  const argv = ['-c', script, process.execPath, join(import.meta.dirname, 'from-sources.ts'), 'logs', jobId];
  const child = spawn('bash', argv, { cwd: place.folder, env: { PATH: process.env['PATH'], GPU_RUN_HOME: place.home }, stdio: ['ignore', 'pipe', 'pipe'] });
  const text: string[] = [];
  child.stdout.on('data', (piece) => text.push(String(piece)));
  child.stderr.on('data', (piece) => text.push(`stderr: ${piece}`));
  await new Promise((resolve) => child.on('close', resolve));
  expect(text.join('')).toBe('a line of the log\nexit 0\n');
});

test.each([[['status', '--json']], [['logs']], [['logs', '--follow']], [['--version']]])('%j into a full disk says so, and ends with 74', async (argv) => {
  rememberJob(place, 'a line of the log\n'.repeat(10_000));
  const { code, stderr } = await callInto('/dev/full', argv);
  expect(code, stderr).toBe(74);
  expect(stderr.match(/^Error: .*$/gm)).toEqual(["Error: The output is cut short: stdout can't be written any more: the disk is full (ENOSPC)."]);
  expect(stderr).not.toContain('bug');
});

test('an answer of which a file takes only the beginning is cut short, and not whole', async () => {
  rememberJob(place, 'a line of the log\n'.repeat(10_000));
  const file = join(place.folder, 'log');
  const { code, stderr } = await callInto(file, ['logs', '--json'], {}, 'ulimit -f 64');
  expect(statSync(file).size).toBeLessThan(100_000);
  expect([code, stderr]).toEqual([74, expect.stringContaining('cut short')]);
});

test.each([[['passing']], [['passing', '--json']]])("a job's exit code stays on a full disk, with one warning: %j", async (argv) => {
  const { code, stderr } = await callInto('/dev/full', argv, { COMMAND_MAP: './test/unit/cli/endless-driver.ts' });
  expect([code, stderr]).toEqual([7, "Warning: The output is cut short: stdout can't be written any more: the disk is full (ENOSPC). The job goes on.\n"]);
});

test.each([
  [['logs', '--follow'], 74, /^a line of the log\n$/, {}],
  [['logs', '--follow', '--json'], 0, /"outcome":"ok"/, {}],
  [['status'], 0, /Nothing is up/, {}], // there was nothing to say on stderr
  [['passing'], 7, /^one\ntwo\n$/, { COMMAND_MAP: './test/unit/cli/endless-driver.ts', SAYS: 'a warning' }],
])('%j with stderr on a full disk ends with %i, and stdout is whole', async (argv, expected, shown, env) => {
  rememberJob(place, 'a line of the log\n');
  const { code, stdout } = await place.call(argv, { ...env, STDERR: '/dev/full' });
  expect([code, stdout]).toEqual([expected, expect.stringMatching(shown)]);
});

test.each([['status'], ['status', '--json'], ['logs', 'job-20200101-nosuch']])('start-up: `%s %s` loads neither config nor SSH', async (...argv) => {
  const { stderr } = await place.call(argv, {}, ['--import', join(import.meta.dirname, 'record-modules.ts')]);
  const files = stderr.split('\n');
  expect(files.some((file) => file.endsWith('/src/compose.ts'))).toBe(true);
  expect(files.filter((file) => /node_modules\/(zod|yaml|ssh2|execa|ssh-config|ignore)\/|src\/config\/(load|schema)\.ts/.test(file))).toEqual([]);
});

/** A machine in the ledger, as if it were up. */
function rememberMachine({ home }: Place): void {
  mkdirSync(home, { recursive: true });
  const ledger = openSqliteLedger(join(home, 'ledger.sqlite'), systemClock);
  ledger.open({ ...machineEntry(), holder: { pid: process.pid, started: 'now' } });
  ledger.close();
}

/** An ended job of a machine that is gone, and the copy of its log. */
function rememberJob(where: Place, log: string): void {
  rememberMachine(where);
  const ledger = openSqliteLedger(join(where.home, 'ledger.sqlite'), systemClock);
  ledger.note('cats-k3v9xq', { fact: 'gone', reason: 'down', leftovers: [] });
  ledger.putJob(jobEntry({ code: 3 }));
  ledger.close();
  mkdirSync(join(where.home, 'jobs', jobId), { recursive: true });
  writeFileSync(join(where.home, 'jobs', jobId, 'log'), log);
}

/** stdout goes to `file`. */
async function callInto(
  file: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  limit = 'true',
): Promise<{ code: number; stderr: string }> {
  const words = ['-c', `${limit}; exec "$0" "$@" > "$INTO"`, process.execPath, join(import.meta.dirname, 'from-sources.ts'), ...argv];
  const child = spawn('bash', words, {
    cwd: place.folder,
    env: { PATH: process.env['PATH'], GPU_RUN_HOME: place.home, INTO: file, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    stderr += piece;
  });
  const code = await new Promise<number>((resolve) => child.on('close', resolve));
  return { code, stderr };
}
