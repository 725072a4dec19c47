/**
 * Cloud Storage, over its JSON API, with the identity that the machine has on Compute Engine; elsewhere only what everybody may read.
 * May import protocol and `node:`.
 *
 * Sources: "Objects: get", "Objects: list" (cloud.google.com/storage/docs/json_api/v1/objects) and "Authenticate workloads using service
 * accounts" (cloud.google.com/compute/docs/access/authenticate-workloads).
 */
import { isLoopbackName, shownUrl } from '../src/protocol/fetch.ts';
import { isCount, isFields, isText } from '../src/protocol/shape.ts';
import { askAgain, type Patience } from './fetch-again.ts';
import { type Remote, refusal } from './fetch-download.ts';
import { fetchError, Interruption } from './fetch-error.ts';
import type { Web } from './fetch-web.ts';
import { askMetadata, metadataServer } from './metadata.ts';

export interface BucketOptions extends Patience {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly web: Web;
  /** `/`, or a tree that looks like it. */
  readonly root: string;
}

export interface ObjectFacts {
  readonly name: string;
  readonly size: number;
  readonly crc32c: number | null;
  readonly generation: string;
}

const fields = 'name,size,crc32c,generation';
const mostObjects = 500_000;
/** A list of 1,000 objects with the longest names takes less. */
const mostListBytes = 8 * 1024 * 1024;

/** Of one bucket. */
export function openBucket(bucket: string, options: BucketOptions) {
  const { web, signal } = options;
  const base = new URL(endpoint(options.env));
  const token = tokenSource(options);
  const objects = `/storage/v1/b/${encodeURIComponent(bucket)}/o`;
  const headers = async (): Promise<Record<string, string>> => {
    const value = await token();
    return value === null ? {} : { authorization: `Bearer ${value}` };
  };
  const ask = async (path: string): Promise<unknown> => {
    const answer = await web.get(new URL(path, base.href), await headers(), signal);
    try {
      if (answer.status === 404) return null;
      if (answer.status === 401 || answer.status === 403) throw notAllowed(bucket, (await token()) !== null);
      if (answer.status !== 200) throw refusal({ name: `gs://${bucket}` }, answer);
      return parseJson(await readAll(answer.body), bucket);
    } finally {
      answer.drop();
    }
  };
  const insist = (path: string) => askAgain(`gs://${bucket}`, options, () => ask(path));
  return {
    get: async (name: string): Promise<ObjectFacts | null> => {
      const value = await insist(`${objects}/${encodeURIComponent(name)}?fields=${fields}`);
      return value === null ? null : parseFacts(value, bucket);
    },
    list: async (prefix: string): Promise<ObjectFacts[]> => {
      const found: ObjectFacts[] = [];
      for (let page: string | null = ''; page !== null; ) {
        const query = new URLSearchParams({
          prefix,
          fields: `items(${fields}),nextPageToken`,
          maxResults: '1000',
          ...(page === '' ? {} : { pageToken: page }),
        });
        const { facts, next } = parsePage(await insist(`${objects}?${query}`), bucket, prefix);
        found.push(...facts);
        if (found.length > mostObjects) throw fetchError('sync', `gs://${bucket}/${prefix} holds more than ${mostObjects} objects.`, 'Name a part of it.');
        if (next === page) throw nonsense(bucket);
        page = next;
      }
      return found;
    },
    remote: (facts: ObjectFacts, sha256: string | null): Remote => {
      const { name, size, crc32c, generation } = facts;
      const url = new URL(`${objects}/${encodeURIComponent(name)}?alt=media&generation=${generation}`, base.href);
      // As it is stored: an object that is kept compressed has its size and its CRC-32C of that.
      const all = async () => ({ ...(await headers()), 'accept-encoding': 'gzip' });
      return { url, name: `gs://${bucket}/${name}`, headers: all, size, state: { strong: generation, any: generation }, sha256, crc32c, fixed: generation };
    },
  };
}

/** As Google's own libraries take it; what is not on this machine has to be https. */
function endpoint(env: BucketOptions['env']): string {
  const named = env['STORAGE_EMULATOR_HOST'];
  if (named === undefined || named === '') return 'https://storage.googleapis.com';
  const text = /^https?:\/\//.test(named) ? named : `http://${named}`;
  if (!URL.canParse(text) || (new URL(text).protocol === 'http:' && !isLoopbackName(new URL(text).hostname)))
    throw fetchError('bad-input', `STORAGE_EMULATOR_HOST on the machine is no address on it: ${shownUrl(named)}.`);
  return text;
}

/** Of the machine's service account, asked for again before it runs out; null: this is no machine on Compute Engine, or it has none. */
function tokenSource({ env, root, signal }: BucketOptions): () => Promise<string | null> {
  const server = metadataServer(env, root);
  let known: { readonly token: string | null; readonly until: number } | null = null;
  return async () => {
    if (server === null) return null;
    if (known !== null && Date.now() < known.until) return known.token;
    known = await readToken(server, signal);
    return known.token;
  };
}

const renewBeforeMs = 60_000;

async function readToken(server: string, signal: AbortSignal) {
  try {
    const { text } = await askMetadata(server, 'instance/service-accounts/default/token', null, signal);
    const { access_token: token, expires_in: seconds } = JSON.parse(text) as { readonly access_token?: unknown; readonly expires_in?: unknown };
    if (!isText(token) || !/^[\x21-\x7e]{1,4000}$/.test(token)) throw new Error('no token');
    return { token, until: Date.now() + (isCount(seconds) ? seconds * 1000 : 0) - renewBeforeMs };
  } catch {
    signal.throwIfAborted();
    return { token: null, until: Date.now() + renewBeforeMs };
  }
}

function notAllowed(bucket: string, hasToken: boolean): Error {
  const grant = `gcloud storage buckets add-iam-policy-binding gs://${bucket} --member=serviceAccount:EMAIL --role=roles/storage.objectViewer`;
  return hasToken
    ? fetchError(
        'not-allowed',
        `The machine's service account may not read gs://${bucket}.`,
        `${grant}   lets it`,
        'The machine also needs a scope that covers storage: devstorage.read_only or cloud-platform.',
      )
    : fetchError(
        'not-allowed',
        `gs://${bucket} may not be read by everybody, and this machine has no identity on Google Cloud.`,
        'Use a machine of provider gcp with `gcp.service-account`, or a signed https:// address of the object.',
        `For the service account of a machine: ${grant}`,
      );
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > mostListBytes) throw new Interruption('an answer that is far too long');
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string, bucket: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (isFields(value)) return value;
  } catch {}
  throw nonsense(bucket);
}

function parsePage(value: unknown, bucket: string, prefix: string): { readonly facts: ObjectFacts[]; readonly next: string | null } {
  if (value === null) throw fetchError('sync', `There is no bucket gs://${bucket}.`, 'Check `from` in gpu-run.yaml.');
  const { items = [], nextPageToken } = value as { readonly items?: unknown; readonly nextPageToken?: unknown };
  if (!Array.isArray(items)) throw nonsense(bucket);
  const facts = items.map((item) => parseFacts(item, bucket));
  if (facts.some(({ name }) => !name.startsWith(prefix))) throw nonsense(bucket);
  return { facts, next: isText(nextPageToken) && nextPageToken !== '' ? nextPageToken : null };
}

function parseFacts(value: unknown, bucket: string): ObjectFacts {
  const { name, size, crc32c, generation } = isFields(value) ? value : {};
  const isSound = isText(name) && name !== '' && isText(size) && /^\d{1,15}$/.test(size) && isText(generation) && /^\d{1,20}$/.test(generation);
  if (!isSound) throw nonsense(bucket);
  const sum = isText(crc32c) ? Buffer.from(crc32c, 'base64') : null;
  return { name, size: Number(size), crc32c: sum?.length === 4 ? sum.readUInt32BE() : null, generation };
}

function nonsense(bucket: string): Error {
  return fetchError('sync', `What answers for gs://${bucket} is not Cloud Storage.`, 'Check the proxy and the name servers of the machine.');
}
