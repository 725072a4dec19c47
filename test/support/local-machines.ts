/** A `local` provider on a temporary folder, with its machines' process run from the sources. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/core/clock.ts';
import { createLocalProvider, type LocalProviderOptions } from '../../src/providers/local/local-provider.ts';
import { endProcesses } from '../../src/providers/local/process-tree.ts';
import type { Provider } from '../../src/providers/provider.ts';

export interface LocalMachines {
  readonly home: string;
  readonly options: LocalProviderOptions;
  readonly provider: Provider;
  /** Ends every machine below `home`, known to the test or not, and removes it. */
  close(): Promise<void>;
}

export function openLocalMachines(changes: Partial<LocalProviderOptions> = {}): LocalMachines {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-'));
  const home = changes.home ?? join(root, 'local');
  const options: LocalProviderOptions = {
    home,
    machineProcess: fileURLToPath(new URL('../../src/providers/local/machine-process.ts', import.meta.url)),
    node: process.execPath,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    clock: systemClock,
    ...changes,
  };
  return {
    home,
    options,
    provider: createLocalProvider(options),
    async close() {
      const ids = existsSync(home) ? readdirSync(home) : [];
      await Promise.all(ids.map((id) => endProcesses(id, { clock: systemClock, graceMs: 0 })));
      rmSync(root, { recursive: true, force: true });
    },
  };
}
