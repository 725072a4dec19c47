/** Lists: filter, pages, scopes that can't be reached. */
import { ApiError } from './api-error.ts';
import { parseFilter } from './list-filter.ts';
import { linkBase, type World } from './world.ts';

type Item = Readonly<Record<string, unknown>>;

export interface ListQuery {
  readonly filter?: string | undefined;
  readonly maxResults?: string | undefined;
  readonly pageToken?: string | undefined;
  readonly orderBy?: string | undefined;
}

/** `kind`: `compute#zoneList`. */
export function listPage(world: World, kind: string, all: readonly Item[], query: ListQuery): Item {
  const { items, next } = page(world, all.filter(parseFilter(query.filter ?? '')), query);
  return { kind, id: `projects/${world.project}`, items, ...next };
}

export interface ScopedItem {
  readonly zone: string;
  readonly item: Item;
}

/** By zone, as `aggregatedList` gives them; `name`: `instances`. */
export function aggregatedPage(world: World, kind: string, name: string, all: readonly ScopedItem[], query: ListQuery): Item {
  const matches = parseFilter(query.filter ?? '');
  const closed = world.catalogue.zones.flatMap((zone) =>
    world.faults.unreachable
      .all({ zone })
      .slice(0, 1)
      .map((form) => ({ zone, form })),
  );
  const isClosed = new Set(closed.map(({ zone }) => zone));
  const wanted = all.filter(({ zone, item }) => !isClosed.has(zone) && matches(item)).sort((a, b) => a.zone.localeCompare(b.zone));
  const { items, next } = page(world, wanted, query);
  const scopes: Record<string, Item> = {};
  for (const zone of world.catalogue.zones) {
    const held = items.filter((one) => one.zone === zone).map(({ item }) => item);
    scopes[`zones/${zone}`] =
      held.length === 0 ? { warning: warning('NO_RESULTS_ON_PAGE', `There are no results for scope 'zones/${zone}' on this page.`, zone) } : { [name]: held };
  }
  for (const { zone, form } of closed) {
    if (form !== 'unreachables') scopes[`zones/${zone}`] = { warning: warning('UNREACHABLE', `Scope 'zones/${zone}' is unreachable.`, zone) };
  }
  const named = closed.filter(({ form }) => form !== 'warning').map(({ zone }) => `projects/${world.project}/zones/${zone}`);
  const top = closed.length === 0 || named.length === 0 ? {} : { unreachables: named, warning: warning('UNREACHABLE', 'Some requests failed to return.', '') };
  return { kind, id: `projects/${world.project}/aggregated/${name}`, items: scopes, selfLink: `${linkBase(world)}/aggregated/${name}`, ...top, ...next };
}

function warning(code: string, message: string, zone: string): Item {
  return { code, message, ...(zone === '' ? {} : { data: [{ key: 'scope', value: `zones/${zone}` }] }) };
}

function page<T>(world: World, all: readonly T[], query: ListQuery): { readonly items: readonly T[]; readonly next: { readonly nextPageToken?: string } } {
  const asked = query.maxResults === undefined ? 500 : Number(query.maxResults);
  if (!Number.isInteger(asked) || asked < 0 || asked > 500) {
    throw new ApiError({
      status: 400,
      reason: 'invalid',
      message: `Invalid value for field 'maxResults': '${query.maxResults}'. Values must be within the range: [0, 500]`,
    });
  }
  const size = Math.min(asked === 0 ? 500 : asked, world.options.pageSize);
  const from = query.pageToken === undefined ? 0 : Number(Buffer.from(query.pageToken, 'base64url').toString());
  if (!Number.isInteger(from) || from < 0)
    throw new ApiError({ status: 400, reason: 'invalid', message: "Invalid value for field 'pageToken': Invalid page token." });
  const items = all.slice(from, from + size);
  return { items, next: from + size < all.length ? { nextPageToken: Buffer.from(String(from + size)).toString('base64url') } : {} };
}
