/** Whether a job is started again whose machine was switched off: nobody here knows by whom. */
import { expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { endReasonOf } from '../../../src/workflows/end-reason.ts';
import { machineForNext, whyAgain } from '../../../src/workflows/next-attempt.ts';
import type { TrainInput } from '../../../src/workflows/train-input.ts';
import { machineEntry } from '../cli/entries.ts';
import { createFakeContext } from './fake-context.ts';

const input = { retry: { on: ['lost'], attempts: 3, resumeFrom: null } } as unknown as TrainInput;
const l4 = { gpu: { name: 'L4', count: 1 } };

test.each([
  ['with a stall limit: the job had stalled', { offer: l4, stallSeconds: 3600 }, null],
  ['with the usual stall limit', { offer: l4 }, null],
  ['without a stall limit', { offer: l4, stallSeconds: null }, 'lost'],
  ['without a GPU: it knows no stall', { offer: { gpu: null } }, 'lost'],
])('switched off, %s', (_what, more, why) => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const machine = { id: 'm-1', endReason: endReasonOf({ cause: 'off', detail: null }), ...more } as unknown as MachineEntry;
  expect(whyAgain({ failure: new GpuRunError('lost', 'It is gone.'), job: null }, machine, input, fake.context)).toBe(why);
});

test('interrupted: there is a reason all the same, and whoever looks for the next machine clears up', async () => {
  using fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const machine = machineEntry();
  fake.abort.abort();
  expect(whyAgain({ failure: new GpuRunError('lost', 'It is gone.'), job: null }, machine, input, fake.context)).toBe('lost');
  await expect(machineForNext(2, 'lost', machine, null, input, fake.context)).rejects.toMatchObject({ name: 'AbortError' });
  expect(fake.reports).toEqual([]);
});
