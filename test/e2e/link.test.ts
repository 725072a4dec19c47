/** Links as a user meets them: commands that follow each other are quick, and nothing is left behind, kept alive or in the way. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createProject, type Project, processesWith, until } from './suite/project.ts';

const on = { env: { GPU_RUN_LINK: '1' } };
const target = { label: 'local', config: 'provider: local' };

/** Of links to machines of this project. */
function links(project: Project): number[] {
  return processesWith(project.home)
    .filter(({ args }) => args.includes(`run.js link ${project.name}-`))
    .map(({ pid }) => pid);
}

function waiting(project: Project): number {
  return processesWith(project.home).filter(({ args }) => args.trim().endsWith(' --standby')).length;
}

/** Nobody else could log in meanwhile. */
async function withoutKeys<T>(project: Project, work: () => Promise<T>): Promise<T> {
  const keys = join(project.home, 'keys');
  renameSync(keys, `${keys}.away`);
  try {
    return await work();
  } finally {
    renameSync(`${keys}.away`, keys);
  }
}

test('up leaves a link behind, one, that later commands go through; killed, they go without it; it ends with the machine', async () => {
  await using project = createProject(target);
  project.write('train.py', 'print("hello")\n');
  expect((await project.run(['up'], on)).code).toBe(0);
  const [link = 0] = await until(() => (links(project).length === 1 && waiting(project) === 1 ? links(project) : null), 'the link');
  await withoutKeys(project, async () => {
    expect((await project.run(['sync', '--quiet'], on)).stderr).toBe('');
    expect(await project.run(['ssh', '--', 'sh', '-c', 'cat workdir/train.py 2>/dev/null || echo there; exit 3'], on)).toMatchObject({ code: 3 });
    const { run, document } = await project.json(['train', '--', 'sh', '-c', 'cat train.py'], on);
    expect([run.code, document.job.exitCode]).toEqual([0, 0]);
    expect(links(project)).toEqual([link]);
    expect((await project.run(['sync'])).code).toBe(77); // without links: no key
  });

  process.kill(link, 'SIGKILL');
  await until(() => (links(project).length === 0 ? true : null), 'its end');
  const synced = await Promise.all([project.run(['sync'], on), project.run(['sync'], on)]);
  expect(synced.map(({ code }) => code)).toEqual([0, 0]);
  await until(() => (links(project).length === 1 ? true : null), 'one link');

  expect((await project.run(['down'], on)).code).toBe(0);
  await until(() => (links(project).length === 0 ? true : null), 'the end of the link');
});

test('a link is nobody: the machine ends when it was idle', async () => {
  await using project = createProject(target);
  expect((await project.run(['up', '--idle', '3s'], on)).code).toBe(0);
  await until(() => (waiting(project) === 1 ? true : null), 'the runner on standby');
  await until(() => (links(project).length === 0 ? true : null), 'the end of the machine, and of its link', 60_000);
  const { document } = await project.json(['status', '--refresh', '--all']);
  expect(document.machines[0].state).toBe('gone');
});

test('none in CI, where nothing may go on behind a command, and none where it is switched off', async () => {
  await using project = createProject(target);
  expect((await project.run(['up'], { env: { GPU_RUN_LINK: '', CI: 'true' } })).code).toBe(0);
  expect((await project.run(['sync'], { env: { GPU_RUN_LINK: 'off' } })).code).toBe(0);
  expect(links(project)).toEqual([]);
  expect(await project.run(['sync'], { env: { GPU_RUN_LINK: 'maybe' } })).toMatchObject({ code: 64, stderr: expect.stringContaining('GPU_RUN_LINK') });
});
