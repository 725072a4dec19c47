/** A call of the API as those who answer it see it. */
import { notFound } from './api-error.ts';
import type { InstanceRecord, World } from './world.ts';

export interface CallRequest {
  /** Of the path: `project`, `zone`, `instance`, ... */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | undefined>>;
  /** Checked against the schema. */
  readonly body: Readonly<Record<string, any>>;
}

/** What is answered as JSON with status 200; throws `ApiError`. */
export type Call = (world: World, request: CallRequest) => unknown;

export function instanceOf(world: World, { params: { zone = '', instance: named = '' } }: CallRequest): InstanceRecord {
  const found = [...world.instances.values()].find((one) => one.zone === zone && (one.name === named || one.id === named));
  if (found === undefined) throw notFound(`projects/${world.project}/zones/${zone}/instances/${named}`);
  return found;
}

export function requestIdOf({ query }: CallRequest): string | null {
  return query['requestId'] ?? null;
}
