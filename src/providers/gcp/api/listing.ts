/** Lists of the API: all pages, and what could not be asked. */

import type { Listing } from '../gce-resources.ts';
import type { Ask, Call, Json } from './seam.ts';

/** Pages of one list at most: a server that always names another one does not keep us for ever. */
const mostPages = 1_000;
const pageSize = 500;

type List = Pick<Call, 'client' | 'request' | 'signal'>;

/** Of one zone, or without one. */
export async function listAll<T>(ask: Ask, list: List): Promise<readonly T[]> {
  const items: T[] = [];
  for await (const page of pages(ask, list, 'list')) if (Array.isArray(page['items'])) items.push(...page['items'].filter(isRecord).map((item) => item as T));
  return items;
}

/** Over all zones. `key`: what the items stand under in each zone: `instances`. */
export async function listEverywhere<T>(ask: Ask, list: List, key: string): Promise<Listing<T>> {
  const items: T[] = [];
  const unreachable = new Set<string>();
  for await (const page of pages(ask, list, 'aggregatedList')) {
    for (const scope of unreachableOf(page)) unreachable.add(scope);
    for (const [, part] of scopesOf(page)) {
      const found = part[key];
      if (Array.isArray(found)) items.push(...found.filter(isRecord).map((item) => item as T));
    }
  }
  return { items, unreachable: [...unreachable] };
}

/** Newer and older forms of the same news; any of them may stand alone. */
function unreachableOf(page: Json): readonly string[] {
  const warned = scopesOf(page).flatMap(([scope, { warning }]) => (isUnreachable(warning) ? [scope] : []));
  const known = [...texts(page['unreachables']), ...warned].map(lastPart);
  return known.length === 0 && isUnreachable(page['warning']) ? ['some zones'] : known;
}

function scopesOf({ items }: Json): readonly (readonly [string, Json])[] {
  return isRecord(items) ? Object.entries(items).filter((entry): entry is [string, Json] => isRecord(entry[1])) : [];
}

/** `zones/us-central1-a` or a URL -> `us-central1-a`. */
export function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

async function* pages(ask: Ask, { client, request, signal }: List, method: 'list' | 'aggregatedList'): AsyncGenerator<Json> {
  let pageToken: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const answer = await ask({
      client,
      method,
      request: { maxResults: pageSize, ...request, ...(pageToken === undefined ? {} : { pageToken }) },
      repeatable: 'read',
      signal,
    });
    yield answer;
    const next = answer['nextPageToken'];
    if (typeof next !== 'string' || next === '' || next === pageToken) return;
    pageToken = next;
  }
}

function isUnreachable(warning: unknown): boolean {
  return isRecord(warning) && warning['code'] === 'UNREACHABLE';
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : [];
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
