/** `sync --watch` as a user meets it. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createProject, type Project, until } from './suite/project.ts';

/** What lies in the machine's workdir, which is on this computer. */
function there(project: Project, path: string): string | null {
  const machines = join(project.home, 'local');
  for (const id of readdirSync(machines)) {
    try {
      return readFileSync(join(machines, id, 'home/.gpu-run/machines', id, 'workdir', path), 'utf8');
    } catch {
      // not there
    }
  }
  return null;
}

test('each change is there a moment later, a broken connection is made anew, and Ctrl-C ends it with 130', async () => {
  await using project = createProject({ label: 'local', config: 'provider: local' });
  project.write('train.py', 'one');
  expect((await project.run(['up'])).code).toBe(0);
  const watching = project.start(['sync', '--watch', '--json']);
  await until(() => (there(project, 'train.py') === 'one' ? true : null), 'the first push');
  project.write('train.py', 'two');
  await until(() => (there(project, 'train.py') === 'two' ? true : null), 'the edit');
  project.write('src/new.py', 'new');
  await until(() => (there(project, 'src/new.py') === 'new' ? true : null), 'the new folder');
  rmSync(join(project.folder, 'src'), { recursive: true });
  await until(() => (there(project, 'src/new.py') === null ? true : null), 'its end');

  const runner = (await project.run(['ssh', '--', 'sh', '-c', `pgrep -f "connect --root .*${project.name}"`])).text.trim().split('\n')[0];
  process.kill(Number(runner), 'SIGKILL');
  await until(() => (watching.errors().includes('Reconnecting') ? true : null), 'the lost connection');
  project.write('train.py', 'three');
  await until(() => (there(project, 'train.py') === 'three' ? true : null), 'the edit after it');

  watching.child.kill('SIGINT');
  const ended = await watching.done;
  const lines = ended.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(ended.code).toBe(130);
  expect(lines.at(-1)).toMatchObject({
    type: 'result',
    command: 'sync',
    outcome: 'error',
    error: { code: 'interrupted' },
    pushes: { count: lines.length - 1 },
  });
  expect(lines.slice(0, -1).every(({ type, ms }) => type === 'sync' && typeof ms === 'number')).toBe(true);
});
