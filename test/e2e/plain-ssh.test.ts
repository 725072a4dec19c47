/** What the generated SSH config is for: the system's own ssh, scp and sftp reach a machine by its name, its host key known beforehand. */
import { execFile, spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createProject, until } from './suite/project.ts';

const run = promisify(execFile);
const hasSsh = spawnSync('ssh', ['-V']).status === 0;

describe.runIf(hasSsh)('the generated SSH config', () => {
  test('ssh, scp and sftp by name; gone with the machine', async () => {
    await using project = createProject({ label: 'local', config: 'provider: local' });
    expect((await project.run(['up'])).code).toBe(0);
    const config = join(project.home, 'ssh_config');
    const ssh = ['-F', config, '-o', 'BatchMode=yes'];
    expect((await run('ssh', [...ssh, project.name, 'echo $((6 * 7))'])).stdout).toBe('42\n');
    project.write('there.txt', 'and back\n');
    await run('scp', ['-q', ...ssh, join(project.folder, 'there.txt'), `${project.name}:there.txt`]);
    await run('scp', ['-q', ...ssh, `${project.name}:there.txt`, join(project.folder, 'back.txt')]);
    expect(project.read('back.txt').toString()).toBe('and back\n');
    expect((await project.run(['down'])).code).toBe(0);
    await expect(run('ssh', [...ssh, '-o', 'ConnectTimeout=3', project.name, 'true'])).rejects.toThrow();
  });
});

test('forward carries a port of the machine to this computer until Ctrl-C', async () => {
  await using project = createProject({ label: 'local', config: 'provider: local' });
  const server = createServer((_, response) => response.end('through the tunnel'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as { port: number };
    expect((await project.run(['up'])).code).toBe(0);
    const forward = project.start(['forward', project.name, `0:${port}`]);
    const local = await until(() => /127\.0\.0\.1:(\d+)/.exec(forward.output().toString() + forward.errors())?.[1], 'the forwarded port');
    expect(await (await fetch(`http://127.0.0.1:${local}/`)).text()).toBe('through the tunnel');
    forward.child.kill('SIGINT');
    expect((await forward.done).code).toBe(0);
  } finally {
    server.close();
  }
});
