/** What every provider promises, the fakes included. Each provider's own test file calls `describeProvider` with itself. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { labelKeys, type MachineRef, type MachineStatus } from '../../src/core/machine.ts';
import type { Offer, ResourceNeed } from '../../src/core/offer.ts';
import { newMachineId } from '../../src/core/run-id.ts';
import type { LaunchPlan, Provider } from '../../src/providers/provider.ts';

export interface ProviderSubject {
  readonly provider: Provider;
  /** Something that it has an offer for. */
  readonly need: ResourceNeed;
  /** Milliseconds since the epoch, by the clock that the provider has. */
  now(): number;
  /** Between two looks. */
  pause(): Promise<void>;
  /** Ends all that the test has left. */
  close(): Promise<void>;
}

export const anyNeed: ResourceNeed = { spot: false, regions: [], nodes: 1, providerOptions: {} };

const sshPublicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB3EguqJH06dBn6N6KdthQCfPUSA4rf++7g9HLr1bkrT';

export function planFor(offer: Offer, need: ResourceNeed, now: number, changes: Partial<LaunchPlan> = {}): LaunchPlan {
  const name = changes.name ?? 'cats';
  const id = changes.id ?? newMachineId(name);
  const deadline = changes.deadline ?? now + 3_600_000;
  const labels = { [labelKeys.owner]: 'ann-x7k2pq', [labelKeys.machine]: id, [labelKeys.name]: name, [labelKeys.expires]: String(Math.floor(deadline / 1000)) };
  return { id, name, labels, offer, need, requestId: randomUUID(), deadline, idleSeconds: null, sshPublicKey, ...changes };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export function describeProvider(name: string, open: () => Promise<ProviderSubject>): void {
  describe(`${name} keeps the contract of providers`, () => {
    let subject: ProviderSubject;
    let provider: Provider;
    beforeEach(async () => {
      subject = await open();
      provider = subject.provider;
    });
    afterEach(() => subject.close());

    const firstOffer = async () => (await collect(provider.offers(subject.need)))[0] as Offer;
    const plan = async (changes?: Partial<LaunchPlan>) => planFor(await firstOffer(), subject.need, subject.now(), changes);
    /** A list finds a machine again without the ledger: it may know less of what was ordered. */
    const identity = ({ provider, id, name, labels, createdAt }: MachineRef) => ({ provider, id, name, labels, createdAt });
    const listed = (owner = 'ann-x7k2pq') => collect(provider.list(owner));

    async function until(ref: MachineRef, state: MachineStatus['state']): Promise<MachineStatus> {
      for (;;) {
        const status = await provider.describe(ref);
        if (status.state === state && (state !== 'running' || status.access !== null)) return status;
        if (status.state === 'gone') throw new Error(`the machine is gone instead of ${state}: ${status.detail}`);
        await subject.pause();
      }
    }

    async function end(ref: MachineRef): Promise<void> {
      const { state, leftovers } = await provider.terminate(ref);
      expect(leftovers).toEqual([]);
      if (state === 'ending') await until(ref, 'gone');
    }

    test('offers name the provider, have a price and its date, and change nothing', async () => {
      const offers = await collect(provider.offers(subject.need));
      expect(offers.length).toBeGreaterThan(0);
      for (const offer of offers) {
        expect(offer).toMatchObject({ provider: provider.id, spot: false, price: { currency: 'USD' } });
        expect(offer.price.perHour).toBeGreaterThanOrEqual(0);
        expect(offer.asOf).toBeLessThanOrEqual(subject.now());
        expect(offer.type).not.toBe('');
        expect(offer.source).not.toBe('');
      }
      expect(offers.map((offer) => offer.price.perHour)).toEqual(offers.map((offer) => offer.price.perHour).sort((a, b) => a - b));
      expect(await listed()).toEqual([]);
    });

    test('a machine is launched, runs, is listed, ends and is gone; ending it again changes nothing', async () => {
      const ref = await provider.launch(await plan());
      const { access } = await until(ref, 'running');
      expect(access).not.toBeNull();
      expect((await listed()).map(identity)).toEqual(provider.traits.borrowed ? [] : [identity(ref)]);
      await end(ref);
      await end(ref);
      expect(await listed()).toEqual([]);
      if (!provider.traits.borrowed) expect(await provider.describe(ref)).toMatchObject({ state: 'gone', access: null });
    });

    test('a machine that was found by its label is ended by what the list says', async ({ skip }) => {
      if (provider.traits.borrowed) skip();
      const ref = await provider.launch(await plan());
      await until(ref, 'running');
      const [found] = await listed();
      await end(JSON.parse(JSON.stringify(found)) as MachineRef);
      expect((await provider.describe(ref)).state).toBe('gone');
    });

    test('the ref carries id, name and labels as ordered', async () => {
      const order = await plan({ name: 'dogs' });
      const ref = await provider.launch(order);
      expect(ref).toMatchObject({ provider: provider.id, id: order.id, name: 'dogs', labels: order.labels });
      if (provider.traits.borrowed) return;
      const [found] = await listed();
      expect(found?.labels).toEqual(order.labels);
    });

    test('where a machine will be found is told beforehand, and is enough to end it', async ({ skip }) => {
      const { expect: foresee } = provider;
      if (foresee === undefined) skip();
      const order = await plan();
      const expected = JSON.parse(JSON.stringify(foresee?.(order))) as MachineRef;
      expect(expected).toMatchObject({ provider: provider.id, id: order.id, name: order.name, labels: order.labels });
      expect(await provider.terminate(expected)).toEqual({ state: 'gone', leftovers: [] });
      const ref = await provider.launch(order);
      await until(expected, 'running');
      await end(expected);
      expect((await provider.describe(ref)).state).toBe('gone');
      expect(await listed()).toEqual([]);
    });

    test('refs survive JSON', async () => {
      const kept = JSON.parse(JSON.stringify(await provider.launch(await plan()))) as MachineRef;
      await until(kept, 'running');
      await end(kept);
      if (!provider.traits.borrowed) expect((await provider.describe(kept)).state).toBe('gone');
    });

    test("another owner's machines are not listed", async () => {
      await provider.launch(await plan());
      expect(await listed('bob-k3v9xq')).toEqual([]);
    });

    test('a machine that never was is gone, whatever its id', async () => {
      const data = provider.expect?.(await plan()).data ?? {};
      for (const id of ['never-k3v9xq', '../never', '', '.', 'a/b', 'A B\n']) {
        const ref: MachineRef = { provider: provider.id, id, name: 'never', labels: {}, createdAt: null, data };
        expect(await provider.describe(ref)).toMatchObject({ state: 'gone', access: null });
        expect(await provider.terminate(ref)).toEqual({ state: 'gone', leftovers: [] });
      }
    });

    test('the same request twice, and twice at once, is one machine', async ({ skip }) => {
      if (!provider.traits.idempotentLaunch) skip();
      const order = await plan();
      const refs = [...(await Promise.all([provider.launch(order), provider.launch(order)])), await provider.launch(order)];
      expect(refs).toEqual([refs[0], refs[0], refs[0]]);
      await until(refs[0] as MachineRef, 'running');
      expect(await provider.launch(order)).toEqual(refs[0]);
      expect((await listed()).map(identity)).toEqual(provider.traits.borrowed ? [] : [identity(refs[0] as MachineRef)]);
    });

    test('two machines live side by side, and one ends without the other', async () => {
      const [one, other] = await Promise.all([provider.launch(await plan()), provider.launch(await plan())]);
      const [first, second] = await Promise.all([until(one, 'running'), until(other, 'running')]);
      if (!provider.traits.borrowed) expect(second.access === first.access || JSON.stringify(second.access) !== JSON.stringify(first.access)).toBe(true);
      await end(one);
      expect((await provider.describe(other)).state).toBe('running');
      expect((await listed()).map(identity)).toEqual(provider.traits.borrowed ? [] : [identity(other)]);
    });

    test('two who end it at the same moment both hear that it is gone', async () => {
      const ref = await provider.launch(await plan());
      await Promise.all([end(ref), end(ref)]);
      expect(await listed()).toEqual([]);
    });

    test('says its own deadline where it keeps one', async ({ skip }) => {
      if (provider.traits.deadline !== 'native') skip();
      const order = await plan();
      const { deadline } = await until(await provider.launch(order), 'running');
      // A timer that counts from when the machine runs is late by its boot.
      expect(Math.abs((deadline ?? 0) - order.deadline)).toBeLessThan(120_000);
    });

    test('an aborted call ends with the reason and does nothing', async () => {
      const reason = new Error('the user left');
      const signal = AbortSignal.abort(reason);
      const order = await plan();
      await expect(collect(provider.offers(subject.need, signal))).rejects.toBe(reason);
      await expect(provider.launch(order, signal)).rejects.toBe(reason);
      await expect(collect(provider.list('ann-x7k2pq', signal))).rejects.toBe(reason);
      expect(await listed()).toEqual([]);
      const ref = await provider.launch(order);
      await expect(provider.describe(ref, signal)).rejects.toBe(reason);
      await expect(provider.terminate(ref, signal)).rejects.toBe(reason);
      expect((await until(ref, 'running')).state).toBe('running');
    });
  });
}
