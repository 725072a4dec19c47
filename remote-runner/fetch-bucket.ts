/**
 * What a `gs://` address stands for: one object, or all below a prefix. What a bucket calls its objects is not believed to be a path.
 * May import protocol and `node:`.
 */
import { pathProblem, temporaryPrefix } from '../src/protocol/sync.ts';
import { type BucketOptions, type ObjectFacts, openBucket } from './fetch-bucket-api.ts';
import type { Remote } from './fetch-download.ts';
import { fetchError } from './fetch-error.ts';

/** `path`: below the source's place; empty for a single object. */
export interface FoundObject {
  readonly path: string;
  readonly remote: Remote;
}

export interface FoundObjects {
  readonly objects: readonly FoundObject[];
  /** The address named an object rather than what lies below a prefix. */
  readonly isFile: boolean;
  /** Sentences for people: what was left out. */
  readonly warnings: readonly string[];
}

/** @throws RunnerError `not-allowed` with what to grant, `sync` when there is nothing */
export async function findObjects(from: string, sha256: string | null, options: BucketOptions): Promise<FoundObjects> {
  const [bucket = '', ...rest] = from.slice('gs://'.length).split('/');
  const key = rest.join('/');
  const api = openBucket(bucket, options);
  if (key !== '' && !key.endsWith('/')) {
    const one = await api.get(key);
    if (one !== null) return { objects: [{ path: '', remote: api.remote(one, sha256) }], isFile: true, warnings: [] };
  }
  const prefix = key === '' || key.endsWith('/') ? key : `${key}/`;
  const facts = await api.list(prefix);
  if (facts.length === 0) throw fetchError('sync', `There is nothing at ${from}.`, 'Check `from` in gpu-run.yaml.');
  if (sha256 !== null)
    throw fetchError(
      'bad-input',
      `${from} is many objects, and a \`sha256\` is that of one file.`,
      'Leave `sha256` out: each object is checked by its own CRC-32C.',
    );
  return { ...asTree(facts, prefix, api.remote), isFile: false };
}

/** What can be files in one folder; names that can't, and such that would need one of them to be a folder too, are left out and named. */
function asTree(facts: readonly ObjectFacts[], prefix: string, remote: (facts: ObjectFacts, sha256: null) => Remote): Omit<FoundObjects, 'isFile'> {
  const warnings: string[] = [];
  const objects: FoundObject[] = [];
  const files = new Set(facts.map(({ name }) => name.slice(prefix.length)).filter((path) => !path.endsWith('/')));
  for (const one of facts) {
    const path = one.name.slice(prefix.length);
    if (path === '' || (path.endsWith('/') && one.size === 0)) continue; // stands for a folder
    const problem = pathProblem(path) ?? (path.split('/').some((part) => part.startsWith(temporaryPrefix)) ? 'its name is one of gpu-run' : clash(path, files));
    if (problem === null) objects.push({ path, remote: remote(one, null) });
    else warnings.push(`${JSON.stringify(path.slice(0, 200))} in the bucket was left out: ${problem}`);
  }
  return { objects, warnings };
}

function clash(path: string, files: ReadonlySet<string>): string | null {
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1))
    if (files.has(path.slice(0, at))) return 'there is an object of the name of its folder, too';
  return null;
}
