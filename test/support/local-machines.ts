/** A `local` provider on a temporary folder, whose machines run the bundle that ships. For vitest files only: it cleans up after the last test. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { LocalProviderOptions } from '../../src/providers/local/local-options.ts';
import { createLocalProvider } from '../../src/providers/local/local-provider.ts';
import { endProcesses } from '../../src/providers/local/process-tree.ts';
import type { Provider } from '../../src/providers/provider.ts';

export interface LocalMachines {
  readonly home: string;
  readonly options: LocalProviderOptions;
  readonly provider: Provider;
  /** Ends every machine below `home`, known to the test or not, and removes it. */
  close(): Promise<void>;
}

let bundled: { readonly folder: string; readonly file: Promise<string> } | null = null;

export async function openLocalMachines(changes: Partial<LocalProviderOptions> = {}): Promise<LocalMachines> {
  bundled ??= bundleMachine();
  const machineProcess = await bundled.file;
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-'));
  const home = join(root, 'local');
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
  const options: LocalProviderOptions = { home, machineProcess, node: process.execPath, env, clock: systemClock, ...changes };
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

function bundleMachine(): { folder: string; file: Promise<string> } {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-machine-'));
  const outfile = join(folder, 'local-machine.mjs');
  const entry = join(import.meta.dirname, '..', '..', 'src', 'providers', 'local', 'machine-process.ts');
  const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url); const __dirname = import.meta.dirname;" };
  const built = build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['*.node', 'cpu-features'],
    banner,
    logLevel: 'error',
  });
  return { folder, file: built.then(() => outfile) };
}

afterAll(() => {
  if (bundled !== null) rmSync(bundled.folder, { recursive: true, force: true });
});
