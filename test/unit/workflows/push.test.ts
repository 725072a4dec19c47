import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SyncSettings } from '../../../src/config/settings.ts';
import type { Report } from '../../../src/core/reporter.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { hasTracked } from '../../../src/sync/git.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { pushAll, readAhead } from '../../../src/workflows/push.ts';
import type { ReachedMachine } from '../../../src/workflows/reach-machine.ts';
import { startFileServer } from '../../support/file-server.ts';
import { buildRunner, createMachine } from '../../support/runner.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-tracked-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('outputs that git tracks are told from those that it does not', () => {
  for (const name of ['runs', 'out puts', 'sub/runs']) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'file'), 'x');
  }
  expect(hasTracked(folder, 'runs')).toBe(false);
  execFileSync('git', ['init', '-q', folder]);
  expect(hasTracked(folder, 'runs')).toBe(false);
  execFileSync('git', ['-C', folder, 'add', 'out puts/file', 'sub/runs/file']);
  expect(hasTracked(folder, 'runs')).toBe(false);
  expect(hasTracked(folder, 'out puts')).toBe(true);
  expect(hasTracked(join(folder, 'sub'), 'runs')).toBe(true);
  expect(hasTracked(folder, 'nowhere')).toBe(false);
});

const write = (top: string, path: string, text: string) => {
  mkdirSync(join(top, path, '..'), { recursive: true });
  writeFileSync(join(top, path), text);
};

/** A project, and a machine to which it is pushed. */
async function projectAndMachine(outputs: readonly string[]) {
  const machine = createMachine(buildRunner(join(folder, 'runner')));
  const runner: RunnerClient = await machine.connect();
  const code = join(folder, 'code');
  mkdirSync(code);
  const reached = { machine: { name: 'cats', id: 'cats-1' }, runner } as unknown as ReachedMachine;
  const reports: Report[] = [];
  const context = {
    reporter: { report: (report: Report) => void reports.push(report) },
    signal: new AbortController().signal,
    home: { root: join(folder, 'home'), sync: join(folder, 'home/sync') },
  } as unknown as RunContext;
  return {
    machine,
    code,
    reports,
    push: (sync: Partial<SyncSettings> = {}) => {
      const input = { sync: { code, exclude: [], data: [], ...sync }, outputs };
      return pushAll(reached, input, context, readAhead(input, null, context));
    },
    there: (path: string) => readFileSync(join(machine.workdir, path), 'utf8'),
    [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
  };
}

test('what a job has written to its checkpoints is left as it is', async () => {
  await using both = await projectAndMachine(['saved']);
  const { machine, code, push, there } = both;
  write(code, 'train.py', '1');
  write(code, 'report-job-20261121-k3v9xq.html', 'of no use there');
  write(code, 'saved/checkpoints/start.pt', 'of the user');
  await push();
  expect(existsSync(join(machine.workdir, 'train.py'))).toBe(true);
  expect(existsSync(join(machine.workdir, 'report-job-20261121-k3v9xq.html'))).toBe(false);
  for (const path of ['saved/checkpoints/start.pt', 'saved/checkpoints/last.pt']) write(machine.workdir, path, 'of the job');
  write(code, 'saved/checkpoints/start.pt', 'of the user, again');
  rmSync(join(code, 'train.py'));
  await push();
  rmSync(join(code, 'saved'), { recursive: true });
  await push();
  for (const path of ['saved/checkpoints/start.pt', 'saved/checkpoints/last.pt']) expect(there(path)).toBe('of the job');
});

test('nor where they are among no outputs, and what the user has there is sent', async () => {
  await using both = await projectAndMachine([]);
  const { machine, code, push, there } = both;
  write(code, 'checkpoints/start.pt', 'of the user');
  await push();
  expect(there('checkpoints/start.pt')).toBe('of the user');
  for (const path of ['checkpoints/start.pt', 'checkpoints/last.pt']) write(machine.workdir, path, 'of the job');
  write(code, 'checkpoints/start.pt', 'of the user, again');
  await push();
  rmSync(join(code, 'checkpoints'), { recursive: true });
  await push();
  for (const path of ['checkpoints/start.pt', 'checkpoints/last.pt']) expect(there(path)).toBe('of the job');
});

test('each source says what it is and how far, also one that the machine fetches by itself; of its address no key is said', async () => {
  await using server = await startFileServer();
  server.files.set('/dogs.tar', { bytes: Buffer.from('wuff'), etag: '"1"' });
  await using both = await projectAndMachine([]);
  const { code, push, there, reports } = both;
  write(code, 'train.py', '1');
  write(folder, 'cats/tom.jpg', 'meow');
  const data = [{ from: join(folder, 'cats'), to: 'data/cats' }];
  const fetched = [{ from: `${server.url}/dogs.tar?sig=s3cret`, to: 'data/dogs.tar', sha256: null }];
  expect(await push({ data, fetched })).toMatchObject({ files: 2, sentBytes: 5, fetchedBytes: 4 });
  expect([there('data/cats/tom.jpg'), there('data/dogs.tar')]).toEqual(['meow', 'wuff']);
  const texts = reports.flatMap((report) => (report.type === 'progress' ? [] : [report.text]));
  expect(texts).toEqual([
    "Syncing to 'cats'",
    "Syncing data/cats to 'cats'",
    'Synced 2 files',
    `Fetching ${server.url}/dogs.tar?... on the machine`,
    'Fetched 1 file (4B) on the machine',
  ]);
  expect(reports).toContainEqual({ type: 'progress', phase: 'fetch', done: 0, total: 4, unit: 'bytes' });
  expect(await push({ data })).not.toHaveProperty('fetchedBytes');
  expect(() => there('data/dogs.tar')).toThrow('ENOENT');
});
