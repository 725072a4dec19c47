/** Who owns what we make: a label that survives the ledger, so that `reap` finds machines of this state folder again. */
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomSuffix } from '../core/run-id.ts';

/** `<user>-<six characters>`, made once per state folder; safe as a label value at every provider. */
export function readOwner(homeRoot: string, user: string): string {
  const file = join(homeRoot, 'owner');
  if (!existsSync(file)) {
    const clean = user
      .toLowerCase()
      .replace(/[^a-z0-9-]/g, '-')
      .slice(0, 30);
    const hidden = `${file}.${process.pid}.tmp`;
    mkdirSync(homeRoot, { recursive: true, mode: 0o700 });
    writeFileSync(hidden, `${clean}-${randomSuffix()}`, { mode: 0o600 });
    try {
      linkSync(hidden, file); // of two first commands at once, one wins and both read its value
    } catch (error) {
      if (!existsSync(file)) throw error;
    } finally {
      rmSync(hidden, { force: true });
    }
  }
  return readFileSync(file, 'utf8').trim();
}
