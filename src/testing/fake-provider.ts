/** A provider in memory that keeps every promise of the interface, and fails where a test tells it to. */
import type { Clock } from '../core/clock.ts';
import { GpuRunError } from '../core/errors.ts';
import { type Access, labelKeys, type MachineRef, type MachineStatus } from '../core/machine.ts';
import type { Offer } from '../core/offer.ts';
import type { LaunchPlan, Provider, ProviderTraits } from '../providers/provider.ts';

export interface FakeProviderOptions {
  readonly clock: Clock;
  /** Default `fake`. */
  readonly id?: string;
  readonly traits?: Partial<ProviderTraits>;
  /** What it offers to any need; default one CPU machine at $1.00 an hour. */
  readonly offers?: readonly Partial<Offer>[];
  /** Milliseconds from launch to running; default 0. */
  readonly bootMs?: number;
  /** Milliseconds from terminate to gone; default 0. */
  readonly endMs?: number;
  /** How its machines are reached; default an address at which nobody listens. */
  readonly access?: Access;
  /** Asked before anything is made of an order: what comes back is thrown, as with a zone that is out of stock. */
  readonly refuse?: (plan: LaunchPlan) => Error | null;
  /** true: it tells beforehand where a machine will be found (`expect`). */
  readonly expects?: boolean;
}

export interface FakeMachine {
  readonly ref: MachineRef;
  readonly plan: LaunchPlan;
  readonly launchedAt: number;
  /** When it is or was gone, milliseconds since the epoch; null: nobody has ended it. */
  goneAt: number | null;
}

export type FakeCall = 'offers' | 'launch' | 'describe' | 'terminate' | 'list';

export interface FakeProvider extends Provider {
  /** Every machine that was ever launched, in order. */
  readonly machines: readonly FakeMachine[];
  /** Every call, in order. */
  readonly calls: readonly FakeCall[];
  /** Every plan that `launch` was called with, in order, the refused ones too. */
  readonly orders: readonly LaunchPlan[];
  /**
   * The next call of this method throws `error`. `after: true`: only after it has done its work, as when the answer is lost
   * on the way; `launch` then leaves a machine behind.
   */
  failNext(call: FakeCall, error: Error, options?: { readonly after?: boolean }): void;
  /** The provider takes the machine away. */
  takeBack(id: string): void;
}

const nowhere: Access = { kind: 'own', host: '127.0.0.1', port: 9, user: 'fake', hostKeys: [] };

export function createFakeProvider(options: FakeProviderOptions): FakeProvider {
  const { clock, id: provider = 'fake', bootMs = 0, endMs = 0, access = nowhere } = options;
  const machines: FakeMachine[] = [];
  const calls: FakeCall[] = [];
  const orders: LaunchPlan[] = [];
  const failures: { call: FakeCall; error: Error; after: boolean }[] = [];

  const isGone = ({ plan, goneAt }: FakeMachine) => plan.deadline <= clock.now() || (goneAt !== null && goneAt <= clock.now());
  const find = (id: string) => machines.find((machine) => machine.ref.id === id && !isGone(machine));

  /** null: there never was such a machine. */
  function endOf(id: string): number | null {
    const last = machines.findLast(({ ref }) => ref.id === id);
    return last === undefined ? null : Math.min(last.plan.deadline, last.goneAt ?? last.plan.deadline);
  }

  async function answer<T>(call: FakeCall, signal: AbortSignal | undefined, work: () => T): Promise<T> {
    signal?.throwIfAborted();
    calls.push(call);
    const index = failures.findIndex((failure) => failure.call === call);
    const [failure] = index === -1 ? [] : failures.splice(index, 1);
    if (failure?.after === false) throw failure.error;
    const result = work();
    if (failure !== undefined) throw failure.error;
    return result;
  }

  const refTo = ({ id, name, labels }: LaunchPlan, createdAt: number | null, data: MachineRef['data']): MachineRef => ({
    provider,
    id,
    name,
    labels,
    createdAt,
    data,
  });

  function launch(plan: LaunchPlan): MachineRef {
    orders.push(plan);
    const refusal = options.refuse?.(plan) ?? null;
    if (refusal !== null) throw refusal;
    const same = machines.find(({ ref }) => ref.id === plan.id);
    if (same !== undefined) {
      if (same.plan.requestId === plan.requestId) return same.ref;
      throw new GpuRunError('conflict', `There is a machine '${plan.id}' already.`);
    }
    const ref = refTo(plan, clock.now(), { number: machines.length + 1 });
    machines.push({ ref, plan, launchedAt: clock.now(), goneAt: null });
    return ref;
  }

  function describe(id: string): MachineStatus {
    const machine = find(id);
    if (machine === undefined) return { state: 'gone', access: null, detail: null, deadline: null, endedAt: endOf(id) };
    const { deadline } = machine.plan;
    if (machine.goneAt !== null) return { state: 'ending', access: null, detail: null, deadline };
    return clock.now() < machine.launchedAt + bootMs
      ? { state: 'pending', access: null, detail: null, deadline }
      : { state: 'running', access, detail: null, deadline };
  }

  function terminate(id: string): 'gone' | 'ending' {
    const machine = find(id);
    if (machine === undefined) return 'gone';
    machine.goneAt ??= clock.now() + endMs;
    return isGone(machine) ? 'gone' : 'ending';
  }

  return {
    id: provider,
    traits: {
      deadline: 'native',
      hostKeys: 'preset',
      endsIdle: true,
      stop: 'none',
      idempotentLaunch: true,
      spot: true,
      billingIncrementSeconds: 1,
      borrowed: false,
      ...options.traits,
    },
    machines,
    calls,
    orders,
    ...(options.expects === true ? { expect: (plan: LaunchPlan) => refTo(plan, null, {}) } : {}),
    failNext: (call, error, { after = false } = {}) => void failures.push({ call, error, after }),
    takeBack(id) {
      const machine = find(id);
      if (machine === undefined) throw new GpuRunError('not-found', `There is no machine '${id}'.`);
      machine.goneAt = clock.now();
    },
    async *offers(_need, signal) {
      yield* await answer('offers', signal, () => (options.offers ?? [{}]).map((offer) => completeOffer(offer, provider, clock.now())));
    },
    launch: (plan, signal) => answer('launch', signal, () => launch(plan)),
    describe: (ref, signal) => answer('describe', signal, () => describe(ref.id)),
    terminate: (ref, signal) => answer('terminate', signal, () => ({ state: terminate(ref.id), leftovers: [] })),
    async *list(owner, signal) {
      yield* await answer('list', signal, () =>
        machines.filter((machine) => !isGone(machine) && machine.ref.labels[labelKeys.owner] === owner).map(({ ref }) => ref),
      );
    },
  };
}

function completeOffer(offer: Partial<Offer>, provider: string, asOf: number): Offer {
  const price = { perHour: 1, currency: 'USD' } as const;
  return { provider, region: null, zone: null, type: 'fake-1', gpu: null, spot: false, price, asOf, source: 'the test', available: true, ...offer };
}
