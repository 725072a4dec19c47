/** Random sets of what may be found at a provider, held against a plain model of what must be ended. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { labelKeys, type MachineRef } from '../../../src/core/machine.ts';
import type { Offer } from '../../../src/core/offer.ts';
import { identifyProcess, type ProcessIdentity } from '../../../src/core/process-identity.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import { reap } from '../../../src/workflows/reap.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

const hour = 3_600_000;
const need = { spot: false, regions: [], nodes: 1, providerOptions: {} };
const dead: ProcessIdentity = { pid: 2 ** 22 + 1, started: 'never' };
/** Somebody who lives and is not this process. */
const living = identifyProcess(process.ppid) ?? dead;

interface Thing {
  readonly kind: 'machine' | 'disk';
  readonly ledger: 'none' | 'ready' | 'held' | 'abandoned' | 'gone';
  readonly owner: 'ours' | 'other';
  readonly home: 'here' | 'elsewhere' | 'unlabelled';
  /** What the label says of its end. */
  readonly expires: 'later' | 'past' | 'garbage';
  /** The labels are another machine's: somebody has made a machine like ours. */
  readonly copied: boolean;
  /** Younger than ten minutes. */
  readonly young: boolean;
}

const things = fc.array(
  fc.record<Thing>({
    kind: fc.constantFrom('machine', 'disk'),
    ledger: fc.constantFrom('none', 'ready', 'held', 'abandoned', 'gone'),
    owner: fc.constantFrom('ours', 'ours', 'ours', 'other'),
    home: fc.constantFrom('here', 'elsewhere', 'unlabelled'),
    expires: fc.constantFrom('later', 'past', 'garbage'),
    copied: fc.boolean(),
    young: fc.boolean(),
  }),
  { maxLength: 8 },
);

/** In the words of the guide, not of the code. */
function mustEnd(thing: Thing, elsewhere: boolean): boolean {
  if (thing.owner === 'other') return false;
  const isPast = thing.expires === 'past';
  if (thing.ledger === 'held') return false; // somebody is at it
  if (thing.ledger === 'abandoned') return true;
  // Of a disk that is listed by itself there is no machine: the ledger's has vanished.
  if (thing.kind === 'disk' && thing.ledger !== 'none') return true;
  if (thing.kind === 'disk' && thing.young && !isPast) return false;
  if (thing.ledger === 'ready') return isPast;
  if (thing.copied && thing.kind === 'machine') return false;
  return isPast || thing.ledger === 'gone' || thing.home !== 'elsewhere' || elsewhere;
}

/** A provider that also has disks. */
function withDisks(provider: FakeProvider, disks: Map<string, MachineRef>): FakeProvider {
  const { list, describe, terminate } = provider;
  const isDisk = ({ leftover }: MachineRef) => leftover !== undefined;
  const of = (ref: MachineRef) => `${ref.id} ${ref.leftover}`;
  return Object.assign(provider, {
    async *list(owner: string) {
      yield* list(owner);
      for (const ref of disks.values()) if (ref.labels[labelKeys.owner] === owner) yield ref;
    },
    describe: async (ref: MachineRef) =>
      isDisk(ref)
        ? ({ state: disks.has(of(ref)) ? 'ending' : 'gone', access: null, detail: null, deadline: null } as const)
        : { ...(await describe(ref)), deadline: null }, // no timer but the label's
    terminate: async (ref: MachineRef) => {
      if (!isDisk(ref)) return await terminate(ref);
      disks.delete(of(ref));
      return { state: 'gone', leftovers: [] } as const;
    },
  });
}

async function make(thing: Thing, index: number, { context, clock }: FakeContext, provider: FakeProvider, disks: Map<string, MachineRef>): Promise<string> {
  const { ledger } = context;
  const id = `m${index}-abcdef`;
  const now = clock.now();
  const expires = { later: String((now + 4 * hour) / 1000), past: String((now - hour) / 1000), garbage: '1e9; DROP' }[thing.expires];
  const home = { here: context.homeLabel ?? '', elsewhere: 'other-laptop-abc123', unlabelled: '' }[thing.home];
  const owner = thing.owner === 'ours' ? context.owner : 'tester-10';
  const labels = {
    [labelKeys.owner]: owner,
    [labelKeys.machine]: thing.copied && thing.kind === 'machine' ? 'another-one' : id,
    [labelKeys.name]: `m${index}`,
    [labelKeys.expires]: expires,
    ...(home === '' ? {} : { [labelKeys.home]: home }),
  };
  const deadline = thing.expires === 'past' ? now - hour : now + 4 * hour;
  const offers: Offer[] = [];
  for await (const offer of provider.offers(need)) offers.push(offer);
  const offer = offers[0] as Offer;
  const plan = { id, name: `m${index}`, labels, offer, need, requestId: id, deadline: now + 100 * hour, idleSeconds: null, sshPublicKey: '' };
  const ref = thing.kind === 'machine' ? await provider.launch(plan) : { provider: 'fake', id, name: `m${index}`, labels, createdAt: null, data: {} };
  const leftover = 'its disk';
  if (thing.kind === 'disk') disks.set(`${id} ${leftover}`, { ...ref, leftover, createdAt: now - (thing.young ? 1_000 : hour) });
  if (thing.ledger === 'none' || thing.owner === 'other') return id;
  const holder = thing.ledger === 'held' ? living : thing.ledger === 'abandoned' ? dead : context.self;
  const more = { template: null, budgetUsd: null, forOneJob: false, user: 'u', branch: null, provider: 'fake', owner, ref };
  ledger.open({ ...plan, ...more, deadline, holder });
  if (thing.ledger === 'ready' || thing.ledger === 'gone') {
    ledger.note(id, { fact: 'launched', ref });
    ledger.note(id, { fact: 'ready', access: { kind: 'own', host: '127.0.0.1', port: 1, user: 'u', hostKeys: [] } });
    ledger.release(id, context.self);
  }
  if (thing.ledger === 'gone') ledger.note(id, { fact: 'gone', reason: 'x', leftovers: [] });
  return id;
}

test('whatever is found: what must end is ended, and nothing else is touched; --dry-run says the same and does nothing', async () => {
  expect(living).not.toBe(dead);
  await fc.assert(
    fc.asyncProperty(things, fc.boolean(), async (all, elsewhere) => {
      let provider: FakeProvider | null = null;
      const disks = new Map<string, MachineRef>();
      using fake = createFakeContext((clock) => {
        provider = withDisks(createFakeProvider({ clock }), disks);
        return { fake: provider };
      });
      const context = { ...fake.context, homeLabel: 'this-laptop-abc123' };
      const at = { ...fake, context };
      const ids: string[] = [];
      for (const [index, thing] of all.entries()) ids.push(await make(thing, index, at, provider as unknown as FakeProvider, disks));
      const there = () => [
        ...(provider as unknown as FakeProvider).machines.filter(({ goneAt }) => goneAt === null).map(({ ref }) => ref.id),
        ...[...disks.values()].map(({ id }) => id),
      ];
      const before = there();

      const dry = await reap({ dryRun: true, elsewhere }, context);
      expect(there()).toEqual(before);
      const real = await reap({ dryRun: false, elsewhere }, context);
      const wanted = ids.filter((_, index) => !mustEnd(all[index] as Thing, elsewhere));
      expect(there().toSorted()).toEqual(wanted.toSorted());
      expect(real).toMatchObject({ leftovers: [], unreachable: [] });
      const ours = ids.filter((_, index) => all[index]?.owner === 'ours');
      const named = new Set([...real.found, ...real.kept, ...real.ended].map(({ id }) => id));
      expect([...named].toSorted()).toEqual(ours.toSorted());
      // Machines in the ledger whose disk alone is there are ended with it: both are named.
      expect(new Set(dry.ended.map(({ id }) => id))).toEqual(new Set(real.ended.map(({ id }) => id)));
      expect((await reap({ dryRun: false, elsewhere }, context)).ended).toEqual([]);
    }),
    { numRuns: 40 },
  );
});
