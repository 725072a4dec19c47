/** The forms in which a request may name a resource. */
import type { World } from './world.ts';

/** The last part of `zones/Z/<kind>/NAME`, whole URLs and partial ones alike; null: of another zone or malformed. */
export function zonal(world: World, zone: string, kind: string, url: string): string | null {
  const found = /^(?:(?:https:\/\/(?:www|compute)\.googleapis\.com\/compute\/v1\/)?projects\/([^/]+)\/)?zones\/([^/]+)\/(\w+)\/([^/]+)$/.exec(url);
  if (found === null || (found[1] !== undefined && found[1] !== world.project) || found[2] !== zone || found[3] !== kind) return null;
  return found[4] ?? null;
}
