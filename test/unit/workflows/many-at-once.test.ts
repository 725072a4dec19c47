/** Many machines from one process: none waits for another. */
import { expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import { up } from '../../../src/workflows/up.ts';
import { createFakeContext, fakeInput } from './fake-context.ts';

test('40 machines that boot for a minute are all there after it, though the first zones had none', async () => {
  let provider: FakeProvider | null = null;
  using fake = createFakeContext((clock) => {
    provider = createFakeProvider({
      clock,
      offers: ['a', 'b', 'c'].map((letter) => ({ region: 'land', zone: `land-${letter}` })),
      expects: true,
      bootMs: 60_000,
      refuse: ({ offer }) => (offer.zone === 'land-c' ? null : new GpuRunError('no-capacity', 'None.', { retry: 'elsewhere', leftBehind: 'nothing' })),
    });
    return { fake: provider };
  });
  const names = Array.from({ length: 40 }, (_, index) => `cats-${index}`);
  let settled = 0;
  const ups = names.map((name) => up({ ...fakeInput, name }, fake.context).finally(() => settled++));
  const outcomes = Promise.allSettled(ups);
  await fake.clock.advance(1_000);
  expect(provider).toMatchObject({ machines: { length: 40 }, orders: { length: 120 } });
  expect(settled).toBe(0);
  await fake.clock.advance(65_000);
  expect(settled).toBe(40); // each of them out of reach: nobody listens there
  expect((await outcomes).map((outcome) => outcome.status === 'rejected' && (outcome.reason as GpuRunError).attempts.length)).toEqual(names.map(() => 3));
  expect(fake.context.ledger.list({ live: true })).toEqual([]);
});
