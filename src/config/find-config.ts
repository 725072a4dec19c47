/** Where `gpu-run.yaml` lies: in a folder or above it, as far as the git repository (or the disk) goes. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const names = ['gpu-run.yaml', 'gpu-run.yml'];

/** Its absolute path; null when there is none. */
export function findConfig(folder: string): string | null {
  for (let at = folder; ; at = dirname(at)) {
    const found = names.map((name) => join(at, name)).find((file) => existsSync(file));
    if (found !== undefined) return found;
    if (existsSync(join(at, '.git')) || dirname(at) === at) return null;
  }
}
