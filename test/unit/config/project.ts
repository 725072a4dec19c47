/** A project in a temp folder, and what gpu-run makes of it. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type FlagValues, loadSettings } from '../../../src/config/load.ts';
import { GpuRunError } from '../../../src/core/errors.ts';

export interface Project extends Disposable {
  readonly folder: string;
  write(path: string, text: string | Uint8Array): void;
  load(flags?: FlagValues, env?: Record<string, string>, cwd?: string): ReturnType<typeof loadSettings>;
  /** The lines of the error that loading gives, without their number. */
  problems(flags?: FlagValues, env?: Record<string, string>): Promise<string[]>;
}

/** @param files path -> text; a path that ends with / is a folder */
export function project(files: Readonly<Record<string, string>> = {}): Project {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'gpu-run-config-')));
  const folder = join(root, 'my-project');
  const write = (path: string, text: string | Uint8Array) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  mkdirSync(join(folder, '.git'), { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    if (path.endsWith('/')) mkdirSync(join(folder, path), { recursive: true });
    else write(path, text);
  }
  const load: Project['load'] = (flags = {}, env = {}, cwd = folder) => loadSettings({ cwd, flags, env: { HOME: join(root, 'home'), ...env } });
  return {
    folder,
    write,
    load,
    problems: async (flags, env) => {
      const error = await load(flags, env).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      if (!(error instanceof GpuRunError)) throw error ?? new Error('nothing was wrong');
      const lines = error.message.split('\n').map((line) => line.trim());
      return lines.length === 1 ? lines : lines.slice(1);
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}
