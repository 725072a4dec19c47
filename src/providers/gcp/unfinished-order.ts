/** The order of a launch that nobody saw the end of may still be under way: that there is no such machine then means "not yet". */
import type { GceApi } from './gce-api.ts';
import type { Operation } from './gce-resources.ts';

/** null: there is none, so what does not exist now never will. */
export async function unfinishedOrder(api: GceApi, zone: string, name: string, signal?: AbortSignal): Promise<Operation | null> {
  const orders = await api.listOperations(zone, 'operationType="insert" AND status!="DONE"', signal);
  const order = orders.find(({ status, targetLink }) => status !== 'DONE' && targetLink?.endsWith(`/instances/${name}`) === true);
  if (order?.targetId === undefined) return order ?? null;
  const deletions = await api.listOperations(zone, `operationType="delete" AND targetId=${order.targetId}`, signal);
  return deletions.some(({ status, error }) => status === 'DONE' && error === undefined) ? null : order; // what is deleted does not come
}
