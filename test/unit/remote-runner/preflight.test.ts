/** What the preflight says of GPUs in every kind of trouble, through real processes; the GPUs and their driver are fakes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { boundedRun } from '../../../remote-runner/bounded-run.ts';
import { checkKernel } from '../../../remote-runner/check-kernel.ts';
import { driverSigns } from '../../../remote-runner/driver-install.ts';
import { askForGpus } from '../../../remote-runner/gpu-report.ts';
import { preflight } from '../../../remote-runner/preflight.ts';
import { parsePreflight } from '../../../src/protocol/preflight.ts';
import { createFakeGpus, type FakeGpus, findCompiler } from '../../support/fake-gpu/fake-gpu.ts';

const compiler = findCompiler();
let folder: string;
let gpus: FakeGpus;
let root: string;
let count = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-preflight-'));
  gpus = createFakeGpus(folder, [], compiler);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  root = join(folder, `root-${count++}`);
  tree({ 'proc/uptime': '5000.00 1.00\n' });
});

/** Files below the tree that stands in for `/`. */
function tree(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

const device = { 'sys/bus/pci/devices/0000:00:04.0/vendor': '0x10de\n', 'sys/bus/pci/devices/0000:00:04.0/class': '0x030200\n' };
const look = (env: NodeJS.ProcessEnv = {}) => preflight({ env: { ...gpus.env, ...env }, root });

describe('the driver', () => {
  const notLoaded =
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.";

  test('is missing, and no GPU is there either', async () => {
    gpus.remove();
    expect(await look()).toEqual({ driver: 'missing', problem: expect.stringMatching(/nvidia-smi was not found.*no NVIDIA GPU/), gpus: [], note: null });
  });

  test('is missing although there is a GPU: nobody installs it', async () => {
    gpus.remove();
    tree({ ...device, 'proc/77/cmdline': 'sshd\0-D\0' });
    expect(await look()).toMatchObject({ driver: 'missing', problem: expect.stringMatching(/an NVIDIA GPU is there/) });
  });

  test.each([
    ['the installer of Google’s images', '/bin/bash\0/opt/deeplearning/install-driver.sh\0', 'install-driver.sh'],
    ['NVIDIA’s own', '/tmp/self/nvidia-installer\0--silent\0', 'nvidia-installer'],
    ['NVIDIA’s archive', 'sh\0./NVIDIA-Linux-x86_64-580.82.07.run\0', 'NVIDIA-Linux-x86_64-580.82.07.run'],
    ['Google’s Python one', 'python3\0/opt/google/cuda_installer.pyz\0install_driver\0', 'cuda_installer.pyz'],
    ['a package', 'apt-get\0install\0-y\0nvidia-driver-580-server\0', 'apt-get'],
    ['some package, where a driver is wanted', '/usr/bin/dpkg\0--configure\0-a\0', 'dpkg'],
    ['the startup script, where a driver is wanted', '/usr/bin/google_metadata_script_runner\0startup\0', 'startup script'],
  ])('is being installed by %s', async (_, cmdline, named) => {
    gpus.fail(notLoaded);
    tree({ ...device, 'proc/4242/cmdline': cmdline });
    expect(await look()).toMatchObject({ driver: 'installing', problem: expect.stringContaining(named), gpus: [] });
  });

  test('a mismatch counts as one only when nobody is at work', async () => {
    gpus.fail('Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.82', 18);
    expect(await look()).toMatchObject({ driver: 'failing', problem: expect.stringMatching(/different versions.*version mismatch/) });
    tree({ 'proc/12/cmdline': 'dkms\0autoinstall\0nvidia\0' });
    expect(await look()).toMatchObject({ driver: 'installing' });
  });

  test('may still be loaded on a machine that has just booted', async () => {
    gpus.fail(notLoaded);
    tree({ ...device, 'proc/uptime': '20.50 10.00\n' });
    expect(await look()).toMatchObject({ driver: 'starting' });
    tree({ 'proc/uptime': '200.50 10.00\n' });
    expect(await look()).toMatchObject({ driver: 'failing', problem: expect.stringContaining('not loaded') });
  });

  test.each([
    ['Unable to determine the device handle for GPU0000:00:04.0: GPU is lost.  Reboot the system to recover this GPU', 15, 'fallen off the bus'],
    ['No devices were found', 6, 'sees no GPU'],
    ['Failed to initialize NVML: Unknown Error', 255, 'Unknown Error'],
  ])('fails: %s', async (said, code, words) => {
    gpus.fail(said, code);
    expect(await look()).toMatchObject({ driver: 'failing', problem: expect.stringContaining(words) });
  });

  test('hangs: that is said at the end of its time', async () => {
    gpus.hang();
    expect(await askForGpus(gpus.env, 100)).toMatchObject({ gpus: [], trouble: 'hangs', problem: expect.stringContaining('did not answer within 0.1 s') });
  });

  test('is not looked for in processes that end meanwhile, nor on other vendors’ devices', () => {
    mkdirSync(join(root, 'proc/99'), { recursive: true });
    tree({ 'sys/bus/pci/devices/a/vendor': '0x1002\n', 'sys/bus/pci/devices/a/class': '0x030000\n' });
    tree({ 'sys/bus/pci/devices/b/vendor': '0x10de\n', 'sys/bus/pci/devices/b/class': '0x040300\n' });
    expect(driverSigns(root)).toEqual({ device: false, loaded: false, installer: null, uptimeSeconds: 5000 });
    expect(driverSigns(join(root, 'nowhere'))).toEqual({ device: false, loaded: false, installer: null, uptimeSeconds: null });
  });
});

describe('a GPU that nvidia-smi knows', () => {
  test('but does not get an answer of', async () => {
    gpus.answer(['[GPU requires reset]']);
    expect(await look()).toMatchObject({ driver: 'ready', gpus: [{ kernel: 'failed', problem: expect.stringContaining('requires reset') }] });
  });

  test('is taken as it is where there is no Python, with a note', async () => {
    const bare = join(folder, 'no-python');
    mkdirSync(bare, { recursive: true });
    writeFileSync(join(bare, 'nvidia-smi'), '#!/bin/sh\necho "0, NVIDIA L4, GPU-0, 23034, 580.82.07"\n', { mode: 0o755 });
    const report = await preflight({ env: { PATH: bare }, root });
    expect(report).toMatchObject({
      driver: 'ready',
      gpus: [{ name: 'NVIDIA L4', kernel: 'unknown', problem: null }],
      note: expect.stringContaining('no python3'),
    });
  });

  test('is taken as it is where Python does not run', async () => {
    gpus.answer(['NVIDIA L4']);
    const broken = join(folder, 'broken-python');
    mkdirSync(broken, { recursive: true });
    writeFileSync(join(broken, 'python3'), '#!/bin/sh\necho "No module named ctypes" >&2\nexit 1\n', { mode: 0o755 });
    const report = await look({ PATH: `${broken}:${gpus.env['PATH']}` });
    expect(report).toMatchObject({ gpus: [{ kernel: 'unknown', problem: null }], note: expect.stringContaining('No module named ctypes') });
  });
});

const hasPython = (await boundedRun('python3', ['-c', 'import ctypes'], { env: process.env, withinMs: 10_000 })).kind === 'ended';
if (compiler === null || !hasPython) console.warn('No C compiler or no python3 here: the tests that run a kernel on a fake CUDA library are left out.');

describe.skipIf(compiler === null || !hasPython)('one kernel', () => {
  const two = { name: 'NVIDIA L4', memoryBytes: null, driver: null };

  test('runs on each of them', async () => {
    gpus.answer(['NVIDIA L4', 'NVIDIA L4']);
    expect(await look({ CUDA_VISIBLE_DEVICES: '7', PYTHONPATH: '/nowhere' })).toEqual({
      driver: 'ready',
      problem: null,
      gpus: [0, 1].map((index) => ({ index, name: 'NVIDIA L4', kernel: 'ran', problem: null })),
      note: null,
    });
  });

  test('computes wrong numbers on one of them', async () => {
    gpus.answer(['NVIDIA L4', 'NVIDIA L4']);
    const report = await look({ FAKE_CUDA: 'wrong', FAKE_CUDA_BROKEN: 'GPU-1' });
    expect(report.gpus).toMatchObject([
      { index: 0, kernel: 'ran', problem: null },
      { index: 1, kernel: 'failed', problem: expect.stringContaining('wrong numbers') },
    ]);
  });

  test.each([
    ['init=803', 'different versions (cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH 803)'],
    ['init=999', 'kernel log may (Xid) (cuInit: CUDA error 999)'],
    ['launch=214', 'ECC'],
    ['launch=719', 'broken off (cuCtxSynchronize: CUDA_ERROR_LAUNCH_FAILED 719)'],
    ['init=345', 'CUDA does not work with it (cuInit: CUDA error 345)'],
    ['crash', 'crashed with it (SIGABRT)'],
  ])('fails with %s', async (fault, words) => {
    expect(await checkKernel({ ...two, index: 0, uuid: 'GPU-0' }, { ...gpus.env, FAKE_CUDA: fault })).toMatchObject({
      kind: 'failed',
      problem: expect.stringContaining(words),
    });
  });

  test('that hangs is given up', async () => {
    const outcome = await checkKernel({ ...two, index: 0, uuid: 'GPU-0' }, { ...gpus.env, FAKE_CUDA: 'hang' }, 1_000);
    expect(outcome).toMatchObject({ kind: 'failed', problem: expect.stringContaining('did not end on it within 1 s') });
  });

  test('that the driver can’t compile is no fault of the GPU', async () => {
    const outcome = await checkKernel({ ...two, index: 0, uuid: 'GPU-0' }, { ...gpus.env, FAKE_CUDA: 'jit=221' });
    expect(outcome).toMatchObject({ kind: 'unknown', why: expect.stringContaining('CUDA error 221') });
  });

  test('waits for the fabric manager on a machine that has just booted, and not for ever', async () => {
    gpus.answer(['NVIDIA H100 80GB HBM3']);
    tree({ 'proc/uptime': '50.00 1.00\n' });
    expect(await look({ FAKE_CUDA: 'init=802' })).toMatchObject({ driver: 'starting', problem: expect.stringContaining('fabric manager') });
    tree({ 'proc/uptime': '500.00 1.00\n' });
    expect(await look({ FAKE_CUDA: 'init=802' })).toMatchObject({ driver: 'ready', gpus: [{ kernel: 'failed' }] });
  });
});

describe('on the laptop', () => {
  const good = { driver: 'ready', problem: null, gpus: [{ index: 0, name: 'NVIDIA L4', kernel: 'ran', problem: null }], note: null };

  test('the answer is kept to its shape: nothing else, no control characters, bounded', () => {
    expect(parsePreflight({ ...good, more: 1 })).toEqual(good);
    expect(parsePreflight({ ...good, note: '\u001b[2Jhi\u202e' }).note).toBe('[2Jhi');
    expect(parsePreflight({ ...good, note: 'x'.repeat(10_000) }).note).toHaveLength(500);
  });

  test.each([
    [null],
    ['ready'],
    [{ ...good, driver: 'fine' }],
    [{ ...good, gpus: {} }],
    [{ ...good, gpus: [{ index: 0.5, name: 'a', kernel: 'ran', problem: null }] }],
    [{ ...good, gpus: [{ index: 0, name: null, kernel: 'ran', problem: null }] }],
    [{ ...good, gpus: [{ index: 0, name: 'a', kernel: 'yes', problem: null }] }],
    [{ ...good, gpus: Array.from({ length: 300 }, () => good.gpus[0]) }],
    [{ ...good, problem: 5 }],
  ])('another shape is refused: %j', (value) => {
    expect(() => parsePreflight(value)).toThrow(/wrong shape/);
  });
});
