/** Files that the kernel makes up while they are read. */
import { readFileSync } from 'node:fs';

/** null: there is no such file, or it may not be read. */
export function readProc(file: string): string | null {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return null;
  }
}
