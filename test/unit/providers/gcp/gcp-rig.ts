/** Provider `gcp` against the emulator, without ledger and workflows: for what it does with answers that mislead. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { type Clock, systemClock } from '../../../../src/core/clock.ts';
import type { Offer, ResourceNeed } from '../../../../src/core/offer.ts';
import { openGcp } from '../../../../src/providers/gcp/open-gcp.ts';
import type { LaunchPlan, Provider } from '../../../../src/providers/provider.ts';
import { anyNeed, collect, planFor } from '../../../contract/provider.ts';
import type { GceEmulator, GceEmulatorOptions } from '../../../emulators/gce/gce-emulator.ts';
import { openGceEmulator } from '../../../support/gce-emulator.ts';

export interface GcpRig {
  readonly emulator: GceEmulator;
  readonly provider: Provider;
  readonly warnings: readonly string[];
  /** Another process with the same state folder, and perhaps another environment. */
  again(env?: Readonly<Record<string, string | undefined>>): Provider;
  plan(changes?: Partial<LaunchPlan>): Promise<LaunchPlan>;
}

/** Pauses are over at once; limits, which are longer, are those of the wall clock. */
export const hastyClock: Clock = { now: () => Date.now(), sleep: (ms, signal) => systemClock.sleep(ms < 10_000 ? 1 : ms, signal) };

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

export async function openGcpRig(options: GceEmulatorOptions = {}, need: Partial<ResourceNeed> = {}, clock = hastyClock): Promise<GcpRig> {
  const emulator = await openGceEmulator({ shutdownGraceMs: 0, ...options });
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-gcp-'));
  folders.push(root);
  const warnings: string[] = [];
  const again = (env: Readonly<Record<string, string | undefined>> = {}) =>
    openGcp({
      env: { ...emulator.env, ...env },
      platform: process.platform,
      clock,
      state: join(root, 'state'),
      cache: join(root, 'cache'),
      warn: (text) => void warnings.push(text),
    });
  const provider = again();
  const wanted: ResourceNeed = { ...anyNeed, regions: ['us-central1'], ...need };
  return {
    emulator,
    provider,
    warnings,
    again,
    plan: async (changes) => planFor((await collect(provider.offers(wanted)))[0] as Offer, wanted, Date.now(), changes),
  };
}
