/** Hosts on which a Node is hard to come by, each in mount namespaces of its own on this computer; and the runner under Bun. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openRunner } from '../../src/runner/client.ts';
import { installRunner, type RunnerPackage } from '../../src/runner/install.ts';
import type { Transport } from '../../src/transport/transport.ts';
import { buildRunner, pipeTransport, runJob, specOf } from '../support/runner.ts';

const canMount = process.getuid?.() === 0 && existsSync('/usr/bin/nsenter');
let build: string;
let runner: RunnerPackage;
let root: string;
let holder: ReturnType<typeof spawn> | null = null;

beforeAll(() => {
  build = mkdtempSync(join(tmpdir(), 'gpu-run-hosts-'));
  runner = { file: buildRunner(build), version: 'test-1', cache: join(build, 'cache') };
});
afterAll(() => rmSync(build, { recursive: true, force: true }));
beforeEach(() => {
  root = mkdtempSync('/opt/gpu-run-host-'); // not below a folder that the hosts have for themselves
});
afterEach(() => {
  holder?.kill('SIGKILL');
  holder = null;
  rmSync(root, { recursive: true, force: true });
});

/** Tools without a Node, and what else the host's PATH holds. */
function hostPath(programs: Readonly<Record<string, string>> = {}): string {
  const bin = join(root, 'bin');
  mkdirSync(bin);
  for (const [name, text] of Object.entries(programs)) writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return `${bin}:/usr/bin:/bin`;
}

/** `mounts`: shell commands that make the host. What lies at other places than these is this computer's own. */
async function hostOf(mounts: string, env: NodeJS.ProcessEnv = {}, programs: Readonly<Record<string, string>> = {}): Promise<Transport> {
  const hide = ['/usr/bin/node', '/usr/bin/nodejs', '/usr/local/bin/node', dirname(process.execPath) === '/usr/bin' ? '' : process.execPath]
    .filter((file) => file !== '' && existsSync(file) && file !== process.execPath)
    .map((file) => `mount --bind /dev/null ${file}`);
  const elsewhere = ['/var/tmp', '/tmp', '/dev/shm'].map((place) => tmpfs(place)); // nothing of the host's is left on this computer
  const started = spawn('unshare', [
    '-m',
    'sh',
    '-ec',
    `mkdir -p ${root}/home\n${hide.join('\n')}\n${elsewhere.join('\n')}\n${mounts}\necho ready\nexec sleep 1000`,
  ]);
  holder = started;
  await new Promise<void>((resolve, reject) => {
    started.stdout.once('data', () => resolve());
    started.once('exit', (code) => reject(new Error(`the host could not be made: exit code ${code}`)));
  });
  const inner = pipeTransport({ HOME: `${root}/home`, PATH: hostPath(programs), ...env });
  const exec: Transport['exec'] = (argv, options) => inner.exec(['nsenter', '-t', String(started.pid), '-m', '--', ...argv], options);
  const copyTo: Transport['copyTo'] = async (content, remotePath, { mode }) => {
    const remote = exec(['sh', '-c', 'umask 077; mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"', 'sh', remotePath, mode.toString(8)]);
    remote.stdin.on('error', () => {});
    remote.stdin.end(content instanceof Uint8Array ? content : await buffer(content));
    await remote.exit;
  };
  return { ...inner, exec, copyTo };
}

const noExecHome = () => `mount -t tmpfs -o noexec tmpfs ${root}/home`;
const tmpfs = (place: string, options = 'mode=1777') => `mount -t tmpfs -o ${options} tmpfs ${place}`;

async function works(transport: Transport): Promise<string> {
  const installed = await installRunner(transport, runner, 'host-1');
  const client = await openRunner(transport, installed, { signal: new AbortController().signal });
  try {
    const { log, summary } = await runJob(client, specOf('echo it runs; exit 4'));
    expect(log.toString()).toBe('it runs\n');
    expect(summary.end).toMatchObject({ code: 4 });
    return installed.argv[0] ?? '';
  } finally {
    await client.call('shutdown', { graceMs: 0 });
    await client.close();
  }
}

describe.skipIf(!canMount)('a host', () => {
  test('whose home runs no programs: they lie in a folder of ours elsewhere, and are found there again', async () => {
    const host = await hostOf(noExecHome());
    expect(await works(host)).toMatch(/^\/var\/tmp\/gpu-run-0\/node\/.*\/bin\/node$/);
    let commands = 0;
    const exec: Transport['exec'] = (argv, options) => {
      commands++;
      return host.exec(argv, options);
    };
    await installRunner({ ...host, exec }, runner, 'host-1');
    expect(commands).toBe(1);
  });

  test('whose other places are prepared by somebody else: what they put there is never run', async () => {
    const evil = '#!/bin/sh\\ntouch /run/gpu-run-evil; echo v24.0.0';
    const plant = (place: string, folder: string) =>
      `mkdir -p ${folder}/node/24.0.0-x64/bin; printf '${evil}' >${folder}/node/24.0.0-x64/bin/node; chmod -R 755 ${folder}; ${folder === place ? '' : `[ -e ${place}/gpu-run-0 ] || ln -s ${folder} ${place}/gpu-run-0`}`;
    const mounts = [
      noExecHome(),
      tmpfs('/run'),
      plant('/var/tmp', '/var/tmp/theirs'), // a link
      `mkdir -p /tmp/gpu-run-0/node/24.0.0-x64/bin; printf '${evil}' >/tmp/gpu-run-0/node/24.0.0-x64/bin/node; chmod -R 777 /tmp/gpu-run-0`, // open to all
      `mkdir -p /dev/shm/gpu-run-0/node/24.0.0-x64/bin; printf '${evil}' >/dev/shm/gpu-run-0/node/24.0.0-x64/bin/node; chmod -R 700 /dev/shm/gpu-run-0; chown -R 12345 /dev/shm/gpu-run-0`, // somebody else's
      `mkdir ${root}/scratch; chmod 777 ${root}/scratch`, // where others could put another one in its stead
    ];
    const host = await hostOf(mounts.join('\n'), { TMPDIR: `${root}/scratch` });
    await expect(installRunner(host, runner, 'host-1')).rejects.toMatchObject({ code: 'unfit', message: expect.stringContaining('mounted noexec') });
    expect((await host.exec(['test', '-e', '/run/gpu-run-evil']).exit).code).toBe(1);
  });

  test('without room says how much there is and how much it takes', async () => {
    const places = ['/var/tmp', '/tmp', '/dev/shm', `${root}/home`].map((place) => tmpfs(place, 'mode=1777,size=20m'));
    const host = await hostOf(places.join('\n'));
    await expect(installRunner(host, runner, 'host-1')).rejects.toMatchObject({
      code: 'disk-full',
      message: expect.stringMatching(/it takes 176 MiB \(free: \d+ MiB at .*home\/\.gpu-run, \d+ MiB at \/var\/tmp/),
    });
  });

  test('whose home is read-only, or full, says so', async () => {
    const readOnly = await hostOf(tmpfs(`${root}/home`, 'ro'));
    await expect(installRunner(readOnly, runner, 'host-1')).rejects.toMatchObject({ code: 'not-allowed', message: expect.stringContaining('Read-only') });
    holder?.kill('SIGKILL');
    rmSync(join(root, 'bin'), { recursive: true });
    const full = await hostOf(tmpfs(`${root}/home`, 'size=4k,nr_inodes=2'));
    await expect(installRunner(full, runner, 'host-1')).rejects.toMatchObject({ code: 'disk-full' });
  });

  test('that calls its C library glibc 2.17 gets Bun, and jobs run under it', async () => {
    const host = await hostOf('', {}, { getconf: 'echo glibc 2.17' });
    expect(await works(host)).toMatch(/\/home\/\.gpu-run\/node\/bun-[\d.]+-\w+\/bin\/bun$/);
  });

  test('of musl is told what to install', async () => {
    const host = await hostOf('', {}, { getconf: 'exit 1', ldd: 'echo "musl libc (x86_64)"' });
    await expect(installRunner(host, runner, 'host-1')).rejects.toMatchObject({
      code: 'unfit',
      hints: expect.arrayContaining([expect.stringContaining('apk add nodejs')]),
    });
  });
});

test('without internet on either side the file to bring is named', async () => {
  const cache = join(build, 'empty-cache');
  const host = await hostOf('', { npm_config_registry: 'http://127.0.0.1:9' }, { getconf: 'echo glibc 2.17' });
  const before = process.env['npm_config_registry'];
  process.env['npm_config_registry'] = 'http://127.0.0.1:9';
  try {
    await expect(installRunner(host, { ...runner, cache }, 'host-1')).rejects.toMatchObject({
      code: 'unfit',
      hints: expect.arrayContaining([expect.stringMatching(/npm pack @oven\/bun-linux-.*put oven-bun-linux-.*\.tgz into /)]),
    });
  } finally {
    if (before === undefined) delete process.env['npm_config_registry'];
    else process.env['npm_config_registry'] = before;
  }
});

test('the runner’s own tests pass under Bun', { timeout: 900_000 }, () => {
  const folder = mkdtempSync(join(build, 'bun-'));
  const name = process.arch === 'arm64' ? '@oven/bun-linux-aarch64' : '@oven/bun-linux-x64-baseline';
  const archive = execFileSync('npm', ['pack', '--silent', `${name}@1.4.5`], { cwd: folder, encoding: 'utf8' }).trim();
  execFileSync('tar', ['-xzf', archive, '-C', folder], { cwd: folder });
  const bun = join(folder, 'package/bin/bun');
  const files = [
    'jobs',
    'cancel',
    'survival',
    'side-by-side',
    'watchdog',
    'follow',
    'full-disk',
    'setup-and-secrets',
    'preemption',
    'leftovers',
    'shutdown',
    'telemetry',
    'log',
  ];
  const args = [
    'run',
    '--project',
    'unit',
    '--no-file-parallelism',
    ...files.map((file) => `test/unit/remote-runner/${file}.test.ts`),
    'test/unit/runner/client.test.ts',
  ];
  const vitest = join(import.meta.dirname, '../../node_modules/.bin/vitest');
  const options = { cwd: join(import.meta.dirname, '../..'), env: { ...process.env, TEST_RUNNER_NODE: bun, VITEST: undefined } };
  execFileSync(vitest, args, { ...options, stdio: 'inherit' });
});
