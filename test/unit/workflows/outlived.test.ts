/** A machine that nothing has ended in time. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { labelKeys, type MachineRef } from '../../../src/core/machine.ts';
import type { Offer } from '../../../src/core/offer.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import { reap } from '../../../src/workflows/reap.ts';
import { billedSeconds } from '../../../src/workflows/report-cost.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

let fake: FakeContext;
let provider: FakeProvider;
beforeEach(() => {
  fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock });
    return { fake: provider };
  });
});
afterEach(() => fake[Symbol.dispose]());
const hour = 3_600_000;
const need = { spot: false, regions: [], nodes: 1, providerOptions: {} };

async function made(id: string, { known = true, outlivesBy = 0 } = {}): Promise<MachineRef> {
  const { context, clock } = fake;
  const offers: Offer[] = [];
  for await (const offer of provider.offers(need)) offers.push(offer);
  const deadline = clock.now() + 4 * hour;
  const labels = {
    [labelKeys.owner]: context.owner,
    [labelKeys.machine]: id,
    [labelKeys.name]: id.slice(0, -7),
    [labelKeys.expires]: String(deadline / 1000),
    [labelKeys.home]: 'elsewhere-abc123',
  };
  const plan = {
    id,
    name: id.slice(0, -7),
    labels,
    offer: offers[0] as Offer,
    need,
    requestId: id,
    deadline,
    idleSeconds: null,
    sshPublicKey: 'ssh-ed25519 AAAA',
  };
  if (known)
    context.ledger.open({
      ...plan,
      provider: 'fake',
      owner: context.owner,
      template: null,
      budgetUsd: null,
      forOneJob: false,
      user: 'u',
      branch: null,
      holder: context.self,
    });
  const ref = await provider.launch({ ...plan, deadline: deadline + outlivesBy });
  if (known) {
    context.ledger.note(id, { fact: 'launched', ref });
    context.ledger.release(id, context.self);
    context.ledger.note(id, { fact: 'ready', access: { kind: 'own', host: '127.0.0.1', port: 1, user: 'u', hostKeys: [] } });
  }
  return ref;
}

test('a machine that was found running a day after its deadline is booked for that day', async () => {
  await made('cats-abcdef', { outlivesBy: 100 * hour }); // every killer has failed
  await fake.clock.advance(28 * hour);
  expect(provider.machines[0]?.goneAt).toBe(null);
  expect(await reap({ dryRun: false }, fake.context)).toMatchObject({ ended: [{ why: 'past its deadline' }] }); // seen alive, and ended now
  const entry = fake.context.ledger.get('cats-abcdef');
  expect(entry && billedSeconds(entry, fake.clock.now()) / 3600).toBe(28);
});
