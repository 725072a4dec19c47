/** The GPUs of emulated machines: a driver that is there, one that is being installed, and a CUDA library that a kernel runs on. */
import { expect, test, vi } from 'vitest';
import type { GceEmulator } from '../../emulators/gce/gce-emulator.ts';
import { findCompiler } from '../../support/fake-gpu/fake-gpu.ts';
import { askGce, insertAndWait, openGceEmulator } from '../../support/gce-emulator.ts';

const zone = 'us-central1-a';

async function saidAtStart(emulator: GceEmulator, script: string): Promise<string> {
  await insertAndWait(await askGce(emulator), { name: 'one', zone, type: 'g2-standard-24', metadata: { 'startup-script': script } });
  const look = () => emulator.instances()[0]?.console ?? '';
  await vi.waitFor(() => expect(look()).toContain('startup-script exit status'), { timeout: 15_000 });
  return look();
}

test.skipIf(findCompiler() === null)('programs find the CUDA library (needs a C compiler)', async () => {
  const emulator = await openGceEmulator();
  const load = 'import ctypes; print("init", ctypes.CDLL("libcuda.so.1").cuInit(0))';
  expect(await saidAtStart(emulator, `python3 -c '${load}'`)).toContain('startup-script: init 0');
});

test('while the driver is installed an installer runs, and nvidia-smi comes at its end', async () => {
  const emulator = await openGceEmulator();
  emulator.faults.machine({ driverInstallsAfterMs: 300 });
  const script = 'command -v nvidia-smi || echo "not yet"; until command -v nvidia-smi > /dev/null; do sleep 0.05; done; nvidia-smi -L';
  const said = await saidAtStart(emulator, script);
  expect(said).toMatch(/not yet[\s\S]*GPU 1: NVIDIA L4/);
});

test('a machine type without GPUs has none', async () => {
  const emulator = await openGceEmulator();
  await insertAndWait(await askGce(emulator), {
    name: 'one',
    zone,
    type: 'e2-standard-4',
    metadata: { 'startup-script': 'nvidia-smi -L; echo "ended with $?"' },
  });
  await vi.waitFor(() => expect(emulator.instances()[0]?.console).toContain('startup-script exit status'), { timeout: 15_000 });
  expect(emulator.instances()[0]?.console).toContain('ended with 127');
});
