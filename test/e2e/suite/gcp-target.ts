/** Where machines come from in tests of provider `gcp`: an emulated Compute Engine in the test's own process. */
import { afterAll } from 'vitest';
import { type GceEmulator, type GceEmulatorOptions, startGceEmulator } from '../../emulators/gce/gce-emulator.ts';
import type { Target } from './project.ts';

export const oneL4 = 'provider: gcp\ngpu: L4:1\nspot: true';

export interface GcpTarget extends Target {
  readonly emulator: GceEmulator;
}

/** `config`: lines of `gpu-run.yaml`. */
export function gcpTarget(emulator: GceEmulator, config: string = oneL4): GcpTarget {
  return { label: 'gcp', config, env: emulator.env, emulator };
}

/** One emulator for a whole file; closed after its last test, and nothing may bill in it then. */
export async function gcpForFile(options: GceEmulatorOptions = {}): Promise<GcpTarget> {
  const emulator = await startGceEmulator(options);
  afterAll(async () => {
    const left = emulator.instances().map(({ name }) => name);
    await emulator.close();
    if (left.length > 0) throw new Error(`The tests are over, and these machines would bill: ${left.join(', ')}`);
  });
  return gcpTarget(emulator);
}
