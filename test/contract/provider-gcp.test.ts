/** Provider `gcp` through Google's own client, against an emulated Compute Engine whose machines are real. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { openGcp } from '../../src/providers/gcp/open-gcp.ts';
import { startGceEmulator } from '../emulators/gce/gce-emulator.ts';
import { anyNeed, describeProvider } from './provider.ts';

describeProvider('gcp', async () => {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-gcp-'));
  const emulator = await startGceEmulator({ operationMs: 5 });
  const warnings: string[] = [];
  const provider = openGcp({
    env: emulator.env,
    platform: process.platform,
    clock: systemClock,
    state: join(root, 'state'),
    cache: join(root, 'cache'),
    warn: (text) => void warnings.push(text),
  });
  return {
    provider,
    need: { ...anyNeed, gpu: { name: 'L4', count: 1 }, regions: ['us-central1'] },
    now: () => Date.now(),
    pause: () => new Promise((resolve) => setTimeout(resolve, 20)),
    close: async () => {
      await emulator.close();
      rmSync(root, { recursive: true, force: true });
      if (warnings.length > 0) throw new Error(warnings.join('\n'));
    },
  };
});
