/** koffi's native module brought to machines with an NVIDIA driver; npm is a stand-in that gives what it is told. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { koffiFileName, koffiVersion } from '../../../src/protocol/native.ts';
import { installRunner } from '../../../src/runner/install.ts';
import { deliverNative } from '../../../src/runner/native-delivery.ts';
import { type PinnedNative, pinnedNative } from '../../../src/runner/native-pin.ts';
import type { LinuxArch } from '../../../src/runner/node-pin.ts';
import { type Probe, probeMachine } from '../../../src/runner/probe.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import { koffiModule } from '../../support/koffi.ts';
import { pipeTransport } from '../../support/runner.ts';

const content = Buffer.from('a native module');
const name = koffiFileName('x64');
const { signal } = new AbortController();
let root: string;
let home: string;
let cache: string;
let transport: Transport;
let pins: Record<LinuxArch, PinnedNative>;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-native-'));
  [home, cache] = [join(root, 'home'), join(root, 'cache')];
  mkdirSync(join(home, 'package'), { recursive: true });
  mkdirSync(join(root, 'bin'));
  transport = pipeTransport({ HOME: home, PATH: process.env['PATH'] });
  writeFileSync(join(home, 'package/koffi.node'), content);
  const archive = gzipSync(await buffer(pipeTransport().exec(['tar', '-C', home, '-cf', '-', 'package/koffi.node']).stdout));
  writeFileSync(join(root, 'package.tgz'), archive);
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
  const pin = { spec: 'koffi@1', integrity, path: 'package/koffi.node', sha256: createHash('sha256').update(content).digest('hex') };
  pins = { x64: pin, arm64: pin };
  npmThat(`cp '${join(root, 'package.tgz')}' fetched.tgz && echo fetched.tgz`);
  vi.stubEnv('PATH', `${join(root, 'bin')}:${process.env['PATH']}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

function npmThat(does: string): void {
  writeFileSync(join(root, 'bin/npm'), `#!/bin/sh\necho "$*" >>'${join(root, 'asked')}'\n${does}\n`, { mode: 0o755 });
}

const timesAsked = () => (existsSync(join(root, 'asked')) ? readFileSync(join(root, 'asked'), 'utf8').trim().split('\n').length : 0);
const delivered = () => join(home, '.gpu-run/native', name);
const probeOf = (more: Partial<Probe> = {}): Probe => ({
  home,
  os: 'Linux',
  arch: 'x86_64',
  libc: '',
  runnerHash: null,
  hasNvidia: true,
  nativeHash: null,
  nodes: [],
  node: null,
  place: null,
  small: [],
  noExec: [],
  ...more,
});
const deliver = (more: Partial<Probe> = {}) => deliverNative(transport, probeOf(more), { cache, pins }, signal);

test('is fetched once, checked, kept, and brought where the runner looks for it', async () => {
  expect(await deliver()).toBe(true);
  expect(readFileSync(delivered())).toEqual(content);
  expect(statSync(delivered()).mode & 0o777).toBe(0o600);
  rmSync(delivered());
  expect(await deliver()).toBe(true);
  expect(readFileSync(delivered())).toEqual(content);
  expect(timesAsked()).toBe(1);
});

test.each<[string, Partial<Probe>]>([
  ['without a driver', { hasNvidia: false }],
  ['of another system', { os: 'Darwin' }],
  ['with another processor', { arch: 'riscv64' }],
])('a machine %s gets none', async (_, more) => {
  expect(await deliver(more)).toBe(false);
  expect([existsSync(delivered()), timesAsked()]).toEqual([false, 0]);
});

test('what is there already is not sent again', async () => {
  expect(await deliver({ nativeHash: pins.x64.sha256 })).toBe(true);
  expect([existsSync(delivered()), timesAsked()]).toEqual([false, 0]);
});

test('without npm, or with one that fails, there is none, and nobody is asked again within the hour', async () => {
  npmThat('exit 1');
  expect([await deliver(), await deliver(), timesAsked()]).toEqual([false, false, 1]);
  const anHourAgo = new Date(Date.now() - 3_700_000);
  utimesSync(join(cache, `${name}.failed`), anHourAgo, anHourAgo);
  npmThat(`cp '${join(root, 'package.tgz')}' fetched.tgz && echo fetched.tgz`);
  expect([await deliver(), timesAsked(), existsSync(delivered())]).toEqual([true, 2, true]);
});

test('what is not what was pinned is not used, whoever changed it', async () => {
  npmThat(`echo other >fetched.tgz && echo fetched.tgz`);
  expect([await deliver(), existsSync(delivered())]).toEqual([false, false]);
  writeFileSync(join(cache, name), 'somebody was here');
  expect([await deliver(), existsSync(delivered())]).toEqual([false, false]);
});

test('the machine is looked at for a driver, and for what is there', async () => {
  const driver = join(root, 'nvidiactl');
  const looking: Transport = {
    ...transport,
    exec: (argv, options) =>
      transport.exec(
        argv.map((word) => word.replaceAll('/dev/nvidiactl', driver)),
        options,
      ),
  };
  expect(await probeMachine(looking, '1', signal)).toMatchObject({ nativeHash: null });
  writeFileSync(driver, '');
  expect(await probeMachine(looking, '1', signal)).toMatchObject({ hasNvidia: true, nativeHash: null });
  await deliver();
  expect(await probeMachine(looking, '1', signal)).toMatchObject({ hasNvidia: true, nativeHash: pins.x64.sha256 });
  rmSync(delivered());
  writeFileSync(join(root, 'runner.mjs'), '');
  npmThat('exit 1');
  writeFileSync(join(cache, name), 'not what the real pin says');
  const installed = await installRunner(looking, { file: join(root, 'runner.mjs'), version: '1-0123456789abcdef', cache }, 'cats-k3v9xq');
  expect([installed.argv.length, existsSync(delivered())]).toEqual([2, false]);
});

test.runIf(koffiModule() !== null)('what is pinned is the version that tests run with', () => {
  const file = koffiModule() ?? '';
  expect(pinnedNative[process.arch as LinuxArch].sha256).toBe(createHash('sha256').update(readFileSync(file)).digest('hex'));
  const lock = readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8');
  for (const { integrity, spec } of Object.values(pinnedNative)) {
    expect(lock).toContain(integrity);
    expect(spec.endsWith(`@${koffiVersion}`)).toBe(true);
  }
});
