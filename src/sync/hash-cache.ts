/** Remembers the SHA-256 of files that still look the same, one file per source. May import core and `node:`. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface HashCache {
  get(path: string, stamp: string): string | null;
  /** `readFromNs`: when reading began. A file that changed just before could change again without looking different (git's racy rule): it isn't kept. */
  put(path: string, stamp: string, sha256: string, readFromNs: bigint): void;
  /** Atomic. Drops what was neither asked for nor put. A cache that can't be saved is no reason to fail. */
  save(): void;
}

const version = 1;

/** The clock's tick, or what a coarse file system keeps. */
const tickNs = 100_000_000n;
const coarseNs = 2_000_000_000n;

/** A missing, damaged or older cache is an empty one. */
export function openHashCache(folder: string, source: string): HashCache {
  const file = join(folder, `${createHash('sha256').update(source).digest('hex').slice(0, 32)}.json`);
  const before = load(file);
  const now = new Map<string, readonly [stamp: string, sha256: string]>();
  let changed = false;
  return {
    get: (path, stamp) => {
      const known = before.get(path);
      if (known === undefined || known[0] !== stamp) return null;
      now.set(path, known);
      return known[1];
    },
    put: (path, stamp, sha256, readFromNs) => {
      const ctimeNs = BigInt(stamp.split(':')[3] ?? 0);
      const racyNs = ctimeNs % 1_000_000_000n === 0n ? coarseNs : tickNs;
      if (readFromNs - ctimeNs < racyNs) return;
      now.set(path, [stamp, sha256]);
      changed = true;
    },
    save: () => {
      if (changed || now.size !== before.size) write(file, JSON.stringify({ version, files: [...now] }));
    },
  };
}

function load(file: string): ReadonlyMap<string, readonly [string, string]> {
  try {
    const saved = JSON.parse(readFileSync(file, 'utf8')) as { version: unknown; files: [string, [string, string]][] };
    if (saved.version !== version) return new Map();
    const sound = saved.files.every(([path, [stamp, sha256]]) => typeof path === 'string' && typeof stamp === 'string' && /^[0-9a-f]{64}$/.test(sha256));
    return sound ? new Map(saved.files) : new Map();
  } catch {
    return new Map();
  }
}

function write(file: string, text: string): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, text, { mode: 0o600 });
    renameSync(temporary, file);
  } catch {
    rmSync(temporary, { force: true });
  }
}
