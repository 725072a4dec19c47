/** `advice.capacity`: how likely a machine is to be had, and for how long. */
import { createHash } from 'node:crypto';
import { ApiError, notFound } from './api-error.ts';
import type { Call } from './call.ts';

export const adviceCalls: Readonly<Record<string, Call>> = {
  'advice.capacity': (world, { params: { region = '' }, body }) => {
    const { advice } = world.options;
    if (advice === 403) {
      const message = "Required 'compute.advice.capacity' permission for 'projects/emulated'";
      throw new ApiError({ status: 403, reason: 'forbidden', message });
    }
    if (advice === 404) throw notFound(`projects/${world.project}/regions/${region}/advice/capacity`);
    const selections = Object.values((body['instanceFlexibilityPolicy']?.instanceSelections ?? {}) as Record<string, { machineTypes?: readonly string[] }>);
    const [machineType] = selections[0]?.machineTypes ?? [];
    if (machineType === undefined) throw new ApiError({ status: 400, reason: 'required', message: 'At least one instance selection is required.' });
    const asked = ((body['distributionPolicy']?.zones ?? []) as readonly { zone: string }[]).map(({ zone }) => zone.split('/').at(-1) ?? '');
    const zones = (asked.length > 0 ? asked : world.catalogue.zonesOf(region)).filter((zone) =>
      world.catalogue.machineTypes(zone).some(({ name }) => name === machineType),
    );
    const ranked = zones.map((zone) => ({ zone, score: scoreOf(zone, machineType) })).sort((a, b) => b.score - a.score);
    const [best] = ranked;
    if (best === undefined) return { recommendations: [] };
    const shard = { zone: `zones/${best.zone}`, machineType, instanceCount: Number(body['size'] ?? 1), provisioningModel: 'SPOT' };
    return { recommendations: [{ scores: { obtainability: best.score, estimatedUptime: `${Math.round(best.score * 36_000)}s` }, shards: [shard] }] };
  },
};

/** 0 to 1; always the same for the same zone and type. */
function scoreOf(zone: string, machineType: string): number {
  return createHash('sha256').update(`${zone} ${machineType}`).digest().readUInt16BE(0) / 65_536;
}
