/** Where Spot machines are likely to be had now, as Google advises. A hint, never a promise: bounded in time, and left out where it can't be had. */
import type { Clock } from '../../../core/clock.ts';
import type { GceApi } from '../gce-api.ts';
import type { GceMachine } from './machine-type.ts';
import { nameOf } from './places.ts';

export interface Advice {
  /** 0 to 1. */
  readonly obtainability: number;
  /** Zones of the region that it names, best first. */
  readonly zones: readonly string[];
}

const withinMs = 400;

/** One call a region, all at once. Regions without an answer in time are missing. Throws nothing but the signal's reason. */
export async function adviceFor(
  asked: readonly { readonly region: string; readonly machine: GceMachine; readonly zones: readonly string[] }[],
  nodes: number,
  { api, clock, signal }: { readonly api: GceApi; readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<ReadonlyMap<string, Advice>> {
  const end = new AbortController();
  const until = AbortSignal.any(signal === undefined ? [end.signal] : [end.signal, signal]);
  const found = new Map<string, Advice>();
  const calls = asked.map(async ({ region, machine, zones }) => {
    const answer = await api.capacityAdvice(region, requestFor(machine, zones, nodes), until).catch(() => null);
    const advice = answer === null ? null : readAdvice(answer);
    if (advice !== null && !end.signal.aborted) found.set(region, advice);
  });
  const timeUp = clock.sleep(withinMs, until).catch(() => undefined);
  await Promise.race([Promise.all(calls), timeUp]);
  end.abort();
  signal?.throwIfAborted();
  return found;
}

/** Source: `advice.capacity` of Compute Engine v1, discovery document of 2026-09-22. */
function requestFor(machine: GceMachine, zones: readonly string[], size: number): Readonly<Record<string, unknown>> {
  const { type, guestAccelerators, acceleratorType, gpu } = machine;
  const accelerators = guestAccelerators && gpu !== null ? { guestAccelerators: [{ acceleratorType, acceleratorCount: gpu.count }] } : {};
  return {
    distributionPolicy: { targetShape: 'ANY_SINGLE_ZONE', zones: zones.map((zone) => ({ zone: `zones/${zone}` })) },
    instanceFlexibilityPolicy: { instanceSelections: { wanted: { machineTypes: [type], ...accelerators } } },
    instanceProperties: { scheduling: { provisioningModel: 'SPOT' } },
    size,
  };
}

/** null: no advice in it. */
function readAdvice(answer: Readonly<Record<string, unknown>>): Advice | null {
  const best = record(list(answer['recommendations'])[0]);
  const obtainability = record(best['scores'])['obtainability'];
  if (typeof obtainability !== 'number' || !(obtainability >= 0 && obtainability <= 1)) return null;
  const zones = list(best['shards']).map((shard) => record(shard)['zone']);
  return { obtainability, zones: zones.filter((zone) => typeof zone === 'string').map(nameOf) };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
