/** `sync` and `pull` on hosts where no runner can live: a plain user of a real OpenSSH server whose system is one that no Node is built for. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProject, type Project } from '../e2e/suite/project.ts';
import { type Sshd, type SshdOptions, startSshd } from '../support/sshd.ts';

const user = 'gpu-run-plain';
const home = `/home/${user}`;
const nodesHere = ['/usr/bin/node', '/usr/bin/nodejs', '/usr/local/bin/node', '/bin/node'].filter((file) => existsSync(file)).map((file) => realpathSync(file));

let folder: string;
beforeAll(() => {
  spawnSync('userdel', ['--remove', user], { stdio: 'ignore' }); // of a run that was killed
  execFileSync('useradd', ['--create-home', '--shell', '/bin/sh', user]);
  execFileSync('usermod', ['--password', '*', user]); // not locked, and no password either
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-plain-sync-'));
  execFileSync('chmod', ['755', folder]);
});
afterAll(() => {
  execFileSync('userdel', ['--remove', user], { stdio: 'ignore' });
  rmSync(folder, { recursive: true, force: true });
});

/** As it is asked by the look at a machine; another system while `strange` is there. */
function fakeUname(): string {
  const file = join(folder, 'uname');
  const answer = `case $1 in -m) echo ${process.arch === 'x64' ? 'x86_64' : 'aarch64'} ;; *) if [ -e ${folder}/strange ]; then echo FreeBSD; else echo Linux; fi ;; esac`;
  writeFileSync(file, `#!/bin/sh\n${answer}\n`, { mode: 0o755 });
  return file;
}

async function host(options: SshdOptions = {}): Promise<AsyncDisposable & { readonly sshd: Sshd; readonly project: Project }> {
  execFileSync('rm', ['-rf', `${home}/.gpu-run`]);
  const sshd = await startSshd({
    user,
    ...options,
    hidden: [...new Set([...nodesHere, ...(options.hidden ?? [])])],
    replaced: { [realpathSync('/usr/bin/uname')]: fakeUname() },
  });
  const project = createProject({ label: 'plain', config: `provider: ssh\nssh: { host: lab, config-file: ${sshd.configFile} }\noutputs: [runs/]` });
  return {
    sshd,
    project,
    [Symbol.asyncDispose]: async () => {
      await project[Symbol.asyncDispose]();
      await sshd.close();
    },
  };
}

const strange = (is: boolean) => (is ? writeFileSync(join(folder, 'strange'), '') : rmSync(join(folder, 'strange'), { force: true }));

describe.each([
  ['rsync', 'which both have', {}],
  ['sftp', 'there is no rsync 3 on it', { hidden: [realpathSync('/usr/bin/rsync')] }],
  ['sftp', 'nothing can be run there', { config: ['ForceCommand internal-sftp'] }],
] as const)('by %s, since %s', (method, because, options) => {
  test('code goes there, edits and deletions follow, outputs come back, and no job is promised', async () => {
    strange(true);
    await using there = await host(options);
    const { project } = there;
    const workdir = join(home, '.gpu-run/machines', `host-${project.name}`, 'workdir');
    project.write('train.py', 'print(1)\n');
    project.write('sub/it\'s "odd" $HOME\n', 'odd');
    project.write('.gitignore', '*.log\n');
    project.write('x.log', 'x');

    const up = await project.run(['up']);
    expect([up.code, up.stderr], up.stderr).toEqual([because === 'nothing can be run there' ? 76 : 78, expect.stringMatching(/FreeBSD|sftp connections only/)]);
    expect(up.stderr).toContain(`gpu-run sync ${project.name}   brings files there all the same`);
    const dry = await project.json(['sync', '--dry-run']);
    expect(dry.document.sources[0].send.map(({ path }: { path: string }) => path)).toContain('train.py');

    const first = await project.json(['sync']);
    expect(first.run.code, first.run.stderr).toBe(0);
    expect(first.document.sync).toMatchObject({ via: method, files: 4 });
    expect(first.run.stderr).toContain(`files go by ${method} (${because})`);
    expect(readFileSync(join(workdir, 'sub/it\'s "odd" $HOME\n'), 'utf8')).toBe('odd');
    expect(existsSync(join(workdir, 'x.log'))).toBe(false);

    project.write('train.py', 'print(2)\n\n');
    rmSync(join(project.folder, 'sub'), { recursive: true });
    execFileSync('sh', ['-c', `mkdir ${workdir}/runs && echo trained > ${workdir}/runs/model && chown -R ${user} ${workdir}`]);
    const preview = await project.json(['sync', '--dry-run']);
    expect(preview.document.sources[0]).toMatchObject({ send: [{ path: 'train.py', why: 'changed' }], delete: expect.arrayContaining(['sub']) });
    const second = await project.run(['sync']);
    expect(second.code, second.stderr).toBe(0);
    expect(second.text).toMatch(new RegExp(`sent 10B in .* by ${method}`));
    expect(readFileSync(join(workdir, 'train.py'), 'utf8')).toBe('print(2)\n\n');
    expect(existsSync(join(workdir, 'sub'))).toBe(false);

    const pulled = await project.json(['pull']);
    expect(pulled.document.outputs, pulled.run.stderr).toMatchObject([{ path: 'runs/model', bytes: 8 }]);
    expect(project.read('runs/model').toString()).toBe('trained\n');
    expect((await project.run(['train', '--', 'true'])).code).toBe(up.code);
  });
});

test('a host that only has to be up is not synced without it', async () => {
  strange(false);
  await using there = await host();
  there.project.write('a', 'a');
  const run = await there.project.run(['sync']);
  expect([run.code, run.stderr]).toEqual([64, expect.stringContaining('gpu-run up')]);
});

test('a machine whose Node was lost takes files all the same, beside those that the runner brought', async () => {
  strange(false);
  await using there = await host();
  const { project } = there;
  project.write('a', 'one');
  project.write('b', 'one');
  expect((await project.run(['up'])).code).toBe(0);
  const before = await project.json(['sync']);
  expect(before.document.sync.via).toBeUndefined();
  execFileSync('sh', ['-c', `rm -rf ${home}/.gpu-run/node ${home}/.gpu-run/tested`]);
  strange(true);
  project.write('a', 'three');
  const after = await project.json(['sync']);
  expect(after.document.sync, after.run.stderr).toMatchObject({ via: 'rsync', sentBytes: 5 });
  strange(false);
  const again = await project.json(['sync']);
  expect(again.document.sync, again.run.stderr).toMatchObject({ sentBytes: 0 });
});

test('an unknown host key stops it, as everything else', async () => {
  strange(true);
  await using there = await host();
  rmSync(there.sshd.knownHostsFile);
  const run = await there.project.run(['sync']);
  expect([run.code, run.stderr]).toEqual([77, expect.stringContaining('host key')]);
});
