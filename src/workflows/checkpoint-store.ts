/**
 * The checkpoints of a job on this computer: `GPU_RUN_HOME/jobs/ID/checkpoints/N`, each a whole copy, the highest N the newest. There
 * is one, or for a moment two; what is being fetched is called `N.part`.
 */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export interface CheckpointStore {
  /** Absolute; null: there is none. Content lies below the folder's path relative to the workdir. */
  newest(): string | null;
  /** Absolute: for files that have come and belong to none yet. */
  readonly aside: string;
  /** A place for the next one, which does not exist. */
  begin(): string;
  /** What was begun is whole: it takes the place of all others. */
  keep(part: string): void;
  drop(part: string): void;
  /** Absolute: for what is fetched once the job has ended. It stays when that is broken off. */
  readonly last: string;
  /** `last` is whole: it takes the place of all others. */
  keepLast(): void;
  /** Everything. */
  clear(): void;
}

export function checkpointStore(jobsFolder: string, jobId: string): CheckpointStore {
  const folder = join(jobsFolder, jobId, 'checkpoints');
  const numbers = () => (existsSync(folder) ? readdirSync(folder) : []).flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : [])).sort((a, b) => a - b);
  const next = () => String((numbers().at(-1) ?? 0) + 1);
  const remove = (name: string) => rmSync(join(folder, name), { recursive: true, force: true, maxRetries: 3 });
  const replace = (part: string, whole: string) => {
    const before = numbers();
    renameSync(part, whole);
    for (const number of before) remove(String(number));
  };
  return {
    aside: join(folder, 'aside'),
    newest: () => {
      const last = numbers().at(-1);
      return last === undefined ? null : join(folder, String(last));
    },
    begin: () => {
      for (const name of existsSync(folder) ? readdirSync(folder) : []) if (name.endsWith('.part')) remove(name);
      return join(folder, `${next()}.part`);
    },
    keep: (part) => replace(part, part.replace(/\.part$/, '')),
    last: join(folder, 'last'),
    keepLast: () => replace(join(folder, 'last'), join(folder, next())),
    drop: (part) => rmSync(part, { recursive: true, force: true, maxRetries: 3 }),
    clear: () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }),
  };
}
