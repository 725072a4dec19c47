/** Bad input gets a clear error and its exit code, and leaves nothing behind. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createProject, type Project } from './suite/project.ts';

const local = { label: 'local', config: 'provider: local' };
let project: Project;
afterEach(async () => project[Symbol.asyncDispose]());

test.each([
  [['--no-such-flag'], 2, 'no-such-flag'],
  [['up', '--no-such-flag'], 2, 'no-such-flag'],
  [['trian'], 2, 'train'],
  [['up', 'Not_A_Name'], 64, 'not-a-name'],
  [['up', '--max-time', 'soon'], 64, 'soon'],
  [['up', '--gpu', 'L4:x'], 64, 'L4:x'],
  [['up', '--provider', 'gpc'], 64, 'gpc'],
  [['up', '--template', 'no-such-template'], 64, 'no-such-template'],
  [['up', '--config', 'missing.yaml'], 64, 'missing.yaml'],
  [['train'], 64, 'train'],
  [['train', '--secret', 'NOT_SET_ANYWHERE', '--', 'true'], 64, 'NOT_SET_ANYWHERE'],
  [['logs', 'job-20200101-nosuch'], 64, 'job-20200101-nosuch'],
  [['logs'], 64, 'No job'],
  [['cancel'], 64, 'No job'],
  [['down', 'nothing-there'], 64, 'nothing-there'],
  [['ssh', 'nothing-there'], 64, 'nothing-there'],
  [['sync', 'nothing-there'], 64, 'nothing-there'],
  [['forward', 'nothing-there', '8888'], 64, 'nothing-there'],
  [['forward', 'nothing-there', 'port'], 64, 'port'],
] as const)('gpu-run %s -> %i', async (args, code, words) => {
  project = createProject(local);
  const run = await project.run([...args]);
  expect(run.code, run.stderr).toBe(code);
  expect(run.stderr).toContain(words);
  expect(run.stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
  const { document } = await project.json([...args]);
  expect(document).toMatchObject({ schema: 1, outcome: 'error', error: { code: expect.any(String), message: expect.any(String), hints: expect.any(Array) } });
});

test.each([
  ['nmae: cats', ['nmae', 'name', '2']],
  ['limits: { max-tim: 2h }', ['max-tim', 'max-time']],
  ['env: [1, 2]', ['env']],
  ['outputs: [../elsewhere]', ['../elsewhere']],
  ['metrics: { loss: "loss=(" }', ['loss']],
  ['sync: { code: no-such-folder }', ['no-such-folder']],
  ['sync: { code: file.txt }', ['file.txt', 'folder']],
  ['sync: { data: [{ from: ../nowhere, to: data }] }', ['nowhere']],
  ['train: [', ['gpu-run.yaml']],
])('gpu-run.yaml with `%s`', async (yaml, words) => {
  project = createProject(local, yaml);
  project.write('file.txt', 'not a folder\n');
  const run = await project.run(['train', '--', 'true']);
  expect(run.code, run.stderr).toBe(64);
  for (const word of words) expect(run.stderr).toContain(word);
});

test('an unreadable file stops the sync, names the file, and the machine that was rented for it is gone', async () => {
  if (process.getuid?.() === 0) {
    // root reads everything: a folder in place of the state of a sync is its own test; here a dangling socket is only skipped
    project = createProject(local);
    return;
  }
  project = createProject(local);
  project.write('secret.bin', 'x');
  chmodSync(join(project.folder, 'secret.bin'), 0);
  const run = await project.run(['train', '--', 'true']);
  expect(run.code).toBe(74);
  expect(run.stderr).toContain('secret.bin');
  expect((await project.json(['status'])).document.machines).toEqual([]);
});

test('a state folder that is a file', async () => {
  project = createProject(local);
  writeFileSync(project.home, 'not a folder');
  const run = await project.run(['status']);
  expect([64, 74]).toContain(run.code);
  expect(run.stderr).toContain(project.home);
});

test('a damaged ledger is reported, not replaced', async () => {
  project = createProject(local);
  mkdirSync(project.home, { recursive: true });
  writeFileSync(join(project.home, 'ledger.sqlite'), 'this is not a database, and longer than a header of one hundred bytes would be. '.repeat(3));
  const run = await project.run(['status']);
  expect([64, 74]).toContain(run.code);
  expect(run.stderr).toContain('ledger.sqlite');
  const { rmSync } = process.getBuiltinModule('node:fs');
  rmSync(join(project.home, 'ledger.sqlite'));
});
