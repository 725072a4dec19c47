/** The runner and a Node brought to a home folder through a real shell. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import { installRunner, type RunnerPackage } from '../../../src/runner/install.ts';
import { officialMirror, parseMirror } from '../../../src/runner/node-download.ts';
import { type LinuxArch, nodeVersion, pinnedNode } from '../../../src/runner/node-pin.ts';
import { probeMachine } from '../../../src/runner/probe.ts';
import { extractFile } from '../../../src/runner/tar.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import { pipeTransport } from '../../support/runner.ts';

let root: string;
let home: string;
let runner: RunnerPackage;
let cacheRoot: string;
const version = '1.2.3-0123456789abcdef';
const signal = new AbortController().signal;

beforeAll(() => {
  cacheRoot = mkdtempSync(join(tmpdir(), 'gpu-run-cache-'));
});
afterAll(() => rmSync(cacheRoot, { recursive: true, force: true }));
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-install-'));
  home = join(root, 'home of user');
  mkdirSync(home);
  writeFileSync(join(root, 'runner.mjs'), 'console.log("runner");\n');
  runner = { file: join(root, 'runner.mjs'), version, cache: join(cacheRoot, 'cache') };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A PATH with ordinary tools and no Node; `more` adds programs. */
function pathWithoutNode(more: Readonly<Record<string, string>> = {}): string {
  const bin = join(root, 'bin');
  mkdirSync(bin);
  const tools = [
    'sh',
    'uname',
    'mkdir',
    'chmod',
    'rm',
    'mv',
    'cat',
    'tr',
    'sed',
    'awk',
    'head',
    'tail',
    'df',
    'getconf',
    'gzip',
    'sha256sum',
    'wc',
    'id',
    'ls',
    'grep',
    'sleep',
  ];
  for (const tool of tools) {
    const found = ['/usr/bin', '/bin'].map((folder) => join(folder, tool)).find((file) => statSync(file, { throwIfNoEntry: false }));
    if (found !== undefined && !(tool in more)) symlinkSync(found, join(bin, tool));
  }
  for (const [name, content] of Object.entries(more)) writeFileSync(join(bin, name), content, { mode: 0o755, flag: 'wx' }); // never through a link
  return bin;
}

interface Watched {
  readonly transport: Transport;
  readonly commands: (readonly string[])[];
  readonly copies: string[];
}

function watched(path: string): Watched {
  const inner = pipeTransport({ HOME: home, PATH: path });
  const commands: (readonly string[])[] = [];
  const copies: string[] = [];
  const transport: Transport = {
    ...inner,
    exec: (argv, options) => {
      commands.push(argv);
      return inner.exec(argv, options);
    },
    copyTo: (content, to, options) => {
      copies.push(to);
      return inner.copyTo(content, to, options);
    },
  };
  return { transport, commands, copies };
}

const withNode = () => [join(process.execPath, '..'), '/usr/bin', '/bin'].join(delimiter);

describe('the runner', () => {
  test('is copied once, and then one look is all', async () => {
    const { transport, commands, copies } = watched(withNode());
    const installed = await installRunner(transport, runner, 'cats-k3v9xq');
    const file = join(home, '.gpu-run/runner', version, 'runner.mjs');
    expect(installed).toEqual({ argv: [process.execPath, file], root: join(home, '.gpu-run/machines/cats-k3v9xq') });
    expect(readFileSync(file)).toEqual(readFileSync(runner.file));
    expect(copies).toEqual([file]);
    expect(await installRunner(transport, runner, 'cats-k3v9xq')).toEqual(installed);
    expect(copies).toHaveLength(1);
    expect(commands).toHaveLength(2);
  });

  test('is copied again when what is there differs', async () => {
    const { transport, copies } = watched(withNode());
    const installed = await installRunner(transport, runner, 'cats-k3v9xq');
    writeFileSync(installed.argv[1] ?? '', 'half of it');
    await installRunner(transport, runner, 'cats-k3v9xq');
    expect(copies).toHaveLength(2);
    expect(readFileSync(installed.argv[1] ?? '')).toEqual(readFileSync(runner.file));
  });

  test('lies in a folder that others can not look into', async () => {
    mkdirSync(join(home, '.gpu-run'), { mode: 0o755 });
    await installRunner(watched(withNode()).transport, runner, 'cats-k3v9xq');
    for (const folder of ['.gpu-run', '.gpu-run/runner', '.gpu-run/machines']) expect(statSync(join(home, folder)).mode & 0o077).toBe(0);
  });

  test('a start-up file that prints does no harm', async () => {
    const noisy = watched(withNode());
    const transport: Transport = {
      ...noisy.transport,
      exec: (argv, options) => noisy.transport.exec(['sh', '-c', 'echo "gpu-run-like noise"; printf "no newline"; exec "$@"', 'sh', ...argv], options),
    };
    expect((await installRunner(transport, runner, 'cats-k3v9xq')).argv[0]).toBe(process.execPath);
  });

  test('a file where our folder should be', async () => {
    writeFileSync(join(home, '.gpu-run'), '');
    await expect(installRunner(watched(withNode()).transport, runner, 'cats-k3v9xq')).rejects.toMatchObject({
      code: 'not-allowed',
      message: expect.stringContaining('.gpu-run'),
    });
  });

  test('no shell that answers', async () => {
    const { transport } = watched(withNode());
    const mute: Transport = { ...transport, exec: (_argv, options) => transport.exec(['sh', '-c', 'echo "This account is closed."; exit 1'], options) };
    await expect(installRunner(mute, runner, 'cats-k3v9xq')).rejects.toMatchObject({
      code: 'protocol',
      message: expect.stringContaining('This account is closed.'),
    });
  });

  test('a build that is missing', async () => {
    await expect(installRunner(watched(withNode()).transport, { ...runner, file: join(root, 'nothing') }, 'cats-k3v9xq')).rejects.toMatchObject({
      code: 'internal',
    });
  });
});

describe('a machine that does not answer as it should', () => {
  /** A machine on which whatever we start is this program instead. */
  const machineOf = (program: string): Transport => {
    const inner = pipeTransport();
    return {
      ...inner,
      exec: (_argv, options) => {
        const remote = inner.exec(['sh', '-c', `exec ${program}`], options);
        const exit = remote.exit.then((status) => (options?.signal?.aborted ? Promise.reject(new GpuRunError('interrupted', 'cut off')) : status));
        exit.catch(() => {});
        return { ...remote, exit };
      },
    };
  };

  test('a silent one is given up; an interruption stays one', async () => {
    await expect(probeMachine(machineOf('sleep 1000'), version, signal, 200)).rejects.toMatchObject({
      code: 'connection',
      retry: 'same',
      message: expect.stringContaining('connected but silent'),
    });
    await expect(probeMachine(machineOf('sleep 1000'), version, AbortSignal.timeout(100))).rejects.toMatchObject({ code: 'interrupted' });
  });

  test.each(['yes', 'yes >&2'])('one that prints without end (%s) is cut off', async (program) => {
    await expect(probeMachine(machineOf(program), version, signal)).rejects.toMatchObject({
      code: 'protocol',
      hints: [expect.stringContaining('start-up file')],
    });
  });
});

describe('Node on the machine', () => {
  /** Says a version, and passes the self-test of one. */
  const fakeNode = (text: string) => `#!/bin/sh\n[ "$1" = -e ] && echo works ${text.replace('v', '')} yes || echo ${text}\n`;

  test.each([
    ['.nvm/versions/node/v22.1.0/bin/node', 'v22.1.0'],
    ['miniconda3/bin/node', 'v20.0.0'],
    ['.gpu-run/node/24.21.0-x64/bin/node', 'v24.21.0'],
  ])('is found in %s', async (place, says) => {
    mkdirSync(join(home, place, '..'), { recursive: true });
    writeFileSync(join(home, place), fakeNode(says), { mode: 0o755 });
    const installed = await installRunner(watched(pathWithoutNode({ node: fakeNode('v18.20.0') })).transport, runner, 'cats-k3v9xq');
    expect(installed.argv[0]).toBe(join(home, place));
  });

  test('that is too old, broken, or a folder is passed over', async () => {
    const path = pathWithoutNode({ node: '#!/bin/sh\necho "error while loading shared libraries" >&2\nexit 127\n', nodejs: fakeNode('v18.20.0') });
    const probe = await probeMachine(watched(path).transport, version, signal);
    expect(probe.nodes).toEqual([{ path: join(path, 'nodejs'), version: '18.20.0' }]);
    expect(probe).toMatchObject({ os: 'Linux', libc: expect.stringMatching(/^glibc 2\.\d+/), noExec: [], node: null, runnerHash: null });
    expect(probe.place).toBe(join(home, '.gpu-run'));
  });

  test('is brought there when there is none, checked, and found again', { timeout: 120_000 }, async () => {
    const { transport, commands } = watched(pathWithoutNode());
    const progress: [number, number][] = [];
    const installed = await installRunner(transport, runner, 'cats-k3v9xq', { onProgress: (done, total) => progress.push([done, total]) });
    const node = installed.argv[0] ?? '';
    expect(node).toBe(join(home, '.gpu-run/node', `${process.versions.node}-${process.arch}`, 'bin/node'));
    expect(sha256(readFileSync(node))).toBe(ownSum());
    const [done, total] = progress.at(-1) ?? [];
    expect(done).toBe(total);
    expect(readdirSync(join(node, '..'))).toEqual(['node']);
    expect(await installRunner(transport, runner, 'cats-k3v9xq')).toEqual(installed);
    expect(commands).toHaveLength(4); // a look, a question, the sending; a look
  });

  test('that was damaged on its way is not put in place', { timeout: 60_000 }, async () => {
    const path = pathWithoutNode({ gzip: '#!/bin/sh\ncat\necho more\n' });
    await expect(installRunner(watched(path).transport, runner, 'cats-k3v9xq')).rejects.toMatchObject({
      code: 'connection',
      message: expect.stringContaining('damaged'),
    });
    expect(readdirSync(join(home, '.gpu-run/node', `${process.versions.node}-${process.arch}`, 'bin'))).toEqual([]);
  });

  describe('that the machine fetches itself', () => {
    const fetchers = { curl: '#!/bin/sh\nexec /usr/bin/curl "$@"\n', wget: '#!/bin/sh\nexec /usr/bin/wget "$@"\n' };
    const tarTool = { tar: '#!/bin/sh\nexec /bin/tar "$@"\n' };
    const folderName = `node-v${nodeVersion}-linux-${process.arch}`;
    const has = (tool: string) => existsSync(join('/usr/bin', tool));
    const isPinned = () => ownSum() === pinnedNode[process.arch as LinuxArch].sha256;

    /** An archive as nodejs.org has it, around this program. */
    async function archiveOf(program: string): Promise<Buffer> {
      const bin = join(root, folderName, 'bin');
      mkdirSync(bin, { recursive: true });
      linkSync(program, join(bin, 'node'));
      const archive = await buffer(pipeTransport().exec(['tar', '-C', root, '-cf', '-', `${folderName}/bin/node`]).stdout);
      return gzipSync(archive, { level: 0 }); // to squeeze it would be most of what these tests cost
    }

    async function mirrorOf(archive: Uint8Array | null) {
      const asked: string[] = [];
      const server = createServer((request, response) => {
        asked.push(request.url ?? '');
        if (archive !== null && request.url?.endsWith('.tar.gz') === true) response.end(archive);
        else response.writeHead(404).end('<html>nothing</html>');
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const { port } = server.address() as AddressInfo;
      return { asked, mirror: `http://127.0.0.1:${port}/dist`, [Symbol.asyncDispose]: async () => void server.close() };
    }

    test.for(['curl', 'wget'] as const)('comes by %s, and its checksum is the pinned one', { timeout: 120_000 }, async (fetcher, { skip }) => {
      if (!isPinned()) skip('these tests run under another Node than the pinned one');
      if (!has(fetcher)) skip(`there is no ${fetcher} here`);
      copyFileSync(process.execPath, join(root, 'node'));
      await using place = await mirrorOf(await archiveOf(join(root, 'node')));
      const { transport, commands } = watched(pathWithoutNode({ [fetcher]: fetchers[fetcher], ...tarTool }));
      const installed = await installRunner(transport, { ...runner, mirror: place.mirror }, 'cats-k3v9xq');
      expect(installed.argv[0]).toBe(join(home, '.gpu-run/node', `${nodeVersion}-${process.arch}`, 'bin/node'));
      expect(sha256(readFileSync(installed.argv[0] ?? ''))).toBe(pinnedNode[process.arch as LinuxArch].sha256);
      expect(place.asked).toEqual([`/dist/v${nodeVersion}/${folderName}.tar.gz`]);
      expect(commands).toHaveLength(2); // the look and the download: nothing was sent
    });

    test('is not used when it is another program: it comes from this computer', { timeout: 120_000 }, async ({ skip }) => {
      if (!has('curl')) skip('there is no curl here');
      writeFileSync(join(root, 'node'), fakeNode(`v${nodeVersion}`), { mode: 0o755 });
      await using place = await mirrorOf(await archiveOf(join(root, 'node')));
      const { transport } = watched(pathWithoutNode({ curl: fetchers.curl, ...tarTool }));
      const installed = await installRunner(transport, { ...runner, mirror: place.mirror }, 'cats-k3v9xq');
      expect(place.asked).toHaveLength(1);
      expect(sha256(readFileSync(installed.argv[0] ?? ''))).toBe(ownSum());
    });

    // Some 120 MB need not be sent again to see that they would be.
    test.for([
      ['a page that says 404', true],
      ['nobody listens', false],
    ] as const)('is not waited for where there is %s: sending begins', { timeout: 120_000 }, async ([, listens], { skip }) => {
      if (!has('curl')) skip('there is no curl here');
      await using place = await mirrorOf(null);
      if (!listens) await place[Symbol.asyncDispose]();
      const { transport, commands } = watched(pathWithoutNode({ curl: fetchers.curl, ...tarTool }));
      const exec: Transport['exec'] = (argv, options) => {
        if (commands.length < 2) return transport.exec(argv, options); // the look and the download
        throw new GpuRunError('connection', `cut off at: ${argv.join(' ')}`);
      };
      const installing = installRunner({ ...transport, exec }, { ...runner, mirror: place.mirror }, 'cats-k3v9xq');
      await expect(installing).rejects.toThrow(/^cut off at: [\s\S]*\.part-/);
      expect(place.asked).toHaveLength(listens ? 1 : 0);
    });

    test.each([
      [undefined, officialMirror],
      ['', officialMirror],
      ['off', null],
      ['https://mirror.example.org/node/', 'https://mirror.example.org/node'],
      ['http://127.0.0.1:8080/dist', 'http://127.0.0.1:8080/dist'],
    ])('GPU_RUN_NODE_MIRROR=%s means %s', (given, meant) => {
      expect(parseMirror(given)).toBe(meant);
    });

    test.each(['http://mirror.example.org/node', 'ftp://x', 'nonsense'])('GPU_RUN_NODE_MIRROR=%s is refused', (given) => {
      expect(() => parseMirror(given)).toThrow(expect.objectContaining({ code: 'bad-input' }));
    });
  });
});

describe('tar', () => {
  test('gives one file out of an archive that the real tar made', async () => {
    mkdirSync(join(root, 'package/bin'), { recursive: true });
    const content = Buffer.alloc(100_001, 'node');
    writeFileSync(join(root, 'package/package.json'), '{}');
    writeFileSync(join(root, 'package/bin/node'), content);
    chmodSync(join(root, 'package/bin/node'), 0o755);
    const archive = await buffer(pipeTransport().exec(['tar', '-C', root, '-cf', '-', 'package/package.json', 'package/bin/node']).stdout);
    const pieces = Array.from({ length: Math.ceil(archive.length / 777) }, (_, n) => archive.subarray(n * 777, n * 777 + 777));
    expect(await buffer(await extractFile(Readable.from(pieces), 'package/bin/node'))).toEqual(content);
    await expect(extractFile(Readable.from([archive]), 'package/bin/npm')).rejects.toThrow('there is no package/bin/npm');
    await expect(extractFile(Readable.from([archive.subarray(0, 50_000)]), 'package/bin/node')).rejects.toThrow('ends in the middle');
  });
});

let own: string | null = null;

/** Checksum of the Node that runs this, some 120 MB. */
function ownSum(): string {
  own ??= sha256(readFileSync(process.execPath));
  return own;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
