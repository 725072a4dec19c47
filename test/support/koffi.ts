/** koffi's native module for this computer, as it is brought to machines. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** null: there is none for this system among the packages. */
export function koffiModule(): string | null {
  const require = createRequire(import.meta.url);
  try {
    const loader = createRequire(require.resolve('koffi')).resolve(`@koromix/koffi-linux-${process.arch}`);
    const file = join(dirname(loader), `linux_${process.arch}`, 'koffi.node');
    return existsSync(file) ? file : null;
  } catch {
    return null;
  }
}
