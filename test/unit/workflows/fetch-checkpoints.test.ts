/** Checkpoints are fetched while the job runs: what is done when they can't be. */
import { expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { JobEntry } from '../../../src/core/job.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { fetchCheckpoints } from '../../../src/workflows/fetch-checkpoints.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { createFakeContext } from './fake-context.ts';

test('a network that is away for an hour: asked for again every minute, so that nothing waits long once it is back', async () => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const machine = { ...someIntent('m-1', 'cats'), state: 'ready', ref: null, access: { kind: 'own' } } as unknown as MachineEntry;
  const tries: number[] = [];
  const connect = () => {
    tries.push(fake.clock.now());
    throw new GpuRunError('connection', 'No route to that machine.');
  };
  await using fetcher = fetchCheckpoints({ id: 'job-1' } as JobEntry, machine, 'ckpt', { ...fake.context, connect });
  fetcher.heard({ type: 'checkpoint', at: 0, path: 'ckpt/last', bytes: 1, beganAt: 0, endedAt: 0 });
  await fake.clock.advance(3_600_000);
  const pauses = tries.slice(1).map((at, index) => at - (tries[index] ?? 0));
  expect(pauses.slice(0, 3)).toEqual([2_000, 4_000, 8_000]);
  expect(Math.max(...pauses)).toBe(60_000);
  expect(fake.reports.filter((report) => 'level' in report && report.level === 'warn')).toHaveLength(1);
});
