/** The SDK beside the command line: the same state folder, the same defaults. No machine is needed. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { createGpuRun } from '../../../src/index.ts';
import { openSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-sdk-'));
  for (const key of ['HOME', 'XDG_DATA_HOME', 'APPDATA', 'LOCALAPPDATA']) vi.stubEnv(key, join(root, 'platform'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

/** A state folder of the command line with a machine that is up. @returns its path */
function stateFolder(name: string): string {
  const home = join(root, name);
  mkdirSync(home, { recursive: true });
  const ledger = openSqliteLedger(join(home, 'ledger.sqlite'), systemClock);
  ledger.open({ ...machineEntry(), name, id: `${name}-k3v9xq`, holder: { pid: process.pid, started: 'now' } });
  ledger.close();
  return home;
}

test('GPU_RUN_HOME is where machines of the command line are seen: of `env`, else of this process; `home` goes before both', async () => {
  const [given, chosen, exported] = [stateFolder('given'), stateFolder('chosen'), stateFolder('exported')];
  const seen = async (options: Parameters<typeof createGpuRun>[0]) => (await createGpuRun(options).status()).machines.map(({ name }) => name);
  expect(await seen({ env: { GPU_RUN_HOME: chosen } })).toEqual(['chosen']);
  vi.stubEnv('GPU_RUN_HOME', exported);
  expect(await seen({})).toEqual(['exported']);
  expect(await seen({ env: { PATH: process.env['PATH'], GPU_RUN_HOME: '' } })).toEqual(['exported']);
  expect(await seen({ env: process.env })).toEqual(['exported']);
  expect(await seen({ env: { GPU_RUN_HOME: chosen } })).toEqual(['chosen']);
  expect(await seen({ home: given, env: { GPU_RUN_HOME: chosen } })).toEqual(['given']);
});

test("a report without an id is that of the newest job of the folder's machine, as on the command line", async () => {
  const home = stateFolder('cats');
  const folder = join(root, 'project');
  mkdirSync(folder);
  writeFileSync(join(folder, 'gpu-run.yaml'), 'name: cats\ntrain: sh train.sh\n');
  const gpuRun = createGpuRun({ home, folder });
  await expect(gpuRun.report()).rejects.toMatchObject({ code: 'not-found', message: "No job has run on a machine named 'cats'." });
  await expect(gpuRun.report('job-20200101-nosuch')).rejects.toMatchObject({ code: 'not-found' });
  const job = jobEntry({ code: 3 });
  const ledger = openSqliteLedger(join(home, 'ledger.sqlite'), systemClock);
  ledger.note('cats-k3v9xq', { fact: 'gone', reason: 'down', leftovers: [] });
  ledger.putJob(job);
  ledger.close();
  mkdirSync(join(home, 'jobs', job.id), { recursive: true });
  writeFileSync(join(home, 'jobs', job.id, 'log'), 'done');
  expect(await gpuRun.report()).toMatchObject({ job: { id: job.id } });
});

test.each<readonly [object, string]>([
  [{ teardown: 'Down' }, '`teardown` is "Down".'],
  [{ teardown: null }, '`teardown` is null.'],
  [{ keepOnFailure: 'false' }, '`keepOnFailure` is "false", and no boolean.'],
  [{ onEvent: 'log' }, '`onEvent` is "log", and no function.'],
  [{ retry: { attempts: 3 } }, "`train` has no option 'retry'."],
  [{ maxtime: '1h' }, "`train` has no option 'maxtime'."],
])('what JavaScript gives `train` is looked at before anything is rented: %j', async (options, message) => {
  const home = join(root, 'none');
  const gpuRun = createGpuRun({ home, folder: root });
  await expect(gpuRun.train({ command: 'true', ...options })).rejects.toMatchObject({ code: 'bad-input', message });
  expect(existsSync(home)).toBe(false);
});

test('so it is with `up`, with a guess at what was meant', async () => {
  const gpuRun = createGpuRun({ home: join(root, 'none'), folder: root });
  const wrong: object = { maxtime: '1h' };
  await expect(gpuRun.up(wrong)).rejects.toMatchObject({ code: 'bad-input', hints: ["Did you mean 'maxTime'?"] });
  const untyped: object = { maxTime: 5, budget: null, spot: {} };
  await expect(gpuRun.up(untyped)).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringMatching(/--spot: .*is no text.*\n.*--max-time: 5 is no text.*\n.*--budget: null/),
  });
  await expect(gpuRun.up({ config: '' })).rejects.toMatchObject({ code: 'bad-input', message: '--config names no file.' });
  await expect(gpuRun.up({ gpu: 'no such GPU' })).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('--gpu') });
});
