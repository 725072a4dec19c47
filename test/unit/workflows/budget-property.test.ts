/** Over any sequence of attempts, failures, preemptions, extensions and prices a run costs no more than its budget and one billing increment. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import { createFakeProvider, type FakeMachine, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import { spentBy } from '../../../src/workflows/budget-spent.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { down } from '../../../src/workflows/down.ts';
import { extend } from '../../../src/workflows/extend.ts';
import { status } from '../../../src/workflows/status.ts';
import { up } from '../../../src/workflows/up.ts';
import { instantTransport } from '../../support/instant-runner.ts';
import { createFakeContext, fakeInput } from './fake-context.ts';

const hour = 3_600_000;
const increment = 1;
const minimum = 60;
const content = 'the runner';

/** What becomes of an order. */
type Fate = { readonly becomes: 'refused' | 'broken' | 'ready'; readonly afterMs: number };
type Step =
  | { readonly step: 'up'; readonly budgetUsd: number; readonly prices: readonly number[]; readonly fates: readonly Fate[] }
  | { readonly step: 'pass'; readonly ms: number }
  | { readonly step: 'extend'; readonly bySeconds: number }
  | { readonly step: 'preempt' | 'lose' | 'down'; readonly noticedAfterMs?: number };

const anyPrice = fc.oneof(fc.double({ min: 0.01, max: 4, noNaN: true }), fc.double({ min: 1, max: 300, noNaN: true }));
const anyMs = fc.oneof(fc.nat({ max: 5_000 }), fc.nat({ max: 240_000 }));
/** Until somebody notices: the computer sleeps. */
const anyDelay = fc.oneof(fc.constant(0), anyMs, fc.nat({ max: 9 * hour }));
const anyFate: fc.Arbitrary<Fate> = fc.record({
  becomes: fc.constantFrom('refused' as const, 'broken' as const, 'broken' as const, 'ready' as const, 'ready' as const),
  afterMs: anyMs,
});
const anyUp = fc.record({
  step: fc.constant('up' as const),
  budgetUsd: fc.double({ min: 0.01, max: 12, noNaN: true }),
  prices: fc.array(anyPrice, { minLength: 1, maxLength: 3 }),
  fates: fc.array(anyFate, { minLength: 1, maxLength: 3 }),
});
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: anyUp },
  { weight: 3, arbitrary: fc.record({ step: fc.constant('pass' as const), ms: fc.oneof(anyMs, fc.nat({ max: 3 * hour })) }) },
  { weight: 2, arbitrary: fc.record({ step: fc.constant('extend' as const), bySeconds: fc.integer({ min: 1, max: 7_200 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constantFrom('preempt' as const, 'preempt' as const, 'lose' as const, 'lose' as const, 'down' as const),
      noticedAfterMs: anyDelay,
    }),
  },
);

interface World extends Disposable {
  readonly context: RunContext;
  readonly provider: FakeProvider;
  readonly take: (step: Step) => Promise<string>;
  /** By the provider's own clock: what the machines of the present run have cost, and the dearest second of one of them. */
  readonly bill: () => { readonly usd: number; readonly increment: number };
  /** The most that this run was ever allowed. */
  readonly allowed: () => number;
}

function createWorld(file: string): World {
  const offers: { price: { perHour: number; currency: 'USD' } }[] = [];
  const fates = new Map<string, Fate>();
  const preempted = new Set<string>();
  let next: Fate[] = [];
  let provider: FakeProvider | null = null;
  const fake = createFakeContext((clock) => {
    const refuse = () => new GpuRunError('no-capacity', 'None.', { retry: 'elsewhere', leftBehind: 'nothing' });
    provider = createFakeProvider({
      clock,
      offers,
      traits: { billingIncrementSeconds: increment, billingMinimumSeconds: minimum },
      refuse: ({ id }) => {
        const fate = next.shift() ?? { becomes: 'broken', afterMs: 0 };
        fates.set(id, fate);
        return fate.becomes === 'refused' ? refuse() : null;
      },
    });
    const { describe: look } = provider;
    Object.assign(provider, {
      describe: async (...args: Parameters<typeof look>) => ({ ...(await look(...args)), ...(preempted.has(args[0].id) ? { cause: 'preempted' } : {}) }),
      extend: async ({ id }: { id: string }, deadline: number) => Object.assign(machineOf(id).plan, { deadline }),
    });
    return { fake: provider };
  });
  const { clock } = fake;
  if (provider === null) throw new Error('no provider');
  const cloud: FakeProvider = provider;
  const machineOf = (id: string): FakeMachine => {
    const machine = cloud.machines.find(({ ref }) => ref.id === id);
    if (machine === undefined) throw new Error(`no ${id}`);
    return machine;
  };
  const endOf = ({ goneAt, plan }: FakeMachine) => Math.min(goneAt ?? clock.now(), plan.deadline, clock.now());
  const context: RunContext = {
    ...fake.context,
    runner: { ...fake.context.runner, file, version: 'test-1' },
    connect: ({ id }) =>
      instantTransport({
        content,
        answer: (op) => (op === 'arm' ? { pid: 1, powerOff: null, problem: null } : { jobs: [] }),
        connect: async () => {
          const fate = fates.get(id);
          if (fate !== undefined && fate.afterMs > 0) await clock.sleep(fate.afterMs);
          fates.set(id, { becomes: fate?.becomes ?? 'broken', afterMs: 0 });
          if (fate?.becomes !== 'ready' || endOf(machineOf(id)) < clock.now()) throw new GpuRunError('connection', 'No answer.', { retry: 'elsewhere' });
        },
      }),
  };

  /** Turns the clock on whenever somebody waits for it. */
  async function outcomeOf(act: Promise<unknown>): Promise<string> {
    let said: string | null = null;
    act.then(
      () => (said = 'ok'),
      (error: unknown) => (said = error instanceof GpuRunError ? error.code : String(error)),
    );
    while (said === null) {
      await new Promise((resolve) => setImmediate(resolve));
      if (clock.sleeping > 0) await clock.advance(200);
    }
    return said;
  }

  let first = 0;
  let allowed = 0;
  const another = () => {
    first = cloud.machines.length;
    allowed = 0;
  };
  const live = () => fake.context.ledger.list({ name: fakeInput.name, live: true })[0];
  /** A run ends with its machine, unless that was cut short. */
  const settle = async () => {
    const machine = live();
    if (machine === undefined || clock.now() < machine.deadline) return;
    await outcomeOf(status({ refresh: true, all: false }, context));
    another();
  };

  async function take(step: Step): Promise<string> {
    await settle();
    const machine = live();
    switch (step.step) {
      case 'pass':
        await clock.advance(step.ms);
        return 'ok';
      case 'up':
        if (machine !== undefined) return 'is up';
        allowed = Math.max(allowed, step.budgetUsd);
        offers.splice(0, offers.length, ...step.prices.map((perHour) => ({ price: { perHour, currency: 'USD' as const } })));
        next = [...step.fates];
        return await outcomeOf(up({ ...fakeInput, budgetUsd: step.budgetUsd }, context));
      case 'extend':
        return machine === undefined ? 'none' : await outcomeOf(extend({ name: machine.name, bySeconds: step.bySeconds }, context));
      case 'down':
        if (machine === undefined) return 'none';
        await outcomeOf(down({ names: [machine.name], all: false }, context));
        another();
        return 'ok';
      case 'preempt':
      case 'lose': {
        if (machine === undefined) return 'none';
        if (step.step === 'preempt') preempted.add(machine.id);
        else context.ledger.putJob(runningJob(machine.id, clock.now()));
        const late = clock.now() >= machine.deadline - 90_500; // as good as its deadline; looking again takes a moment
        cloud.takeBack(machine.id);
        await clock.jump(step.noticedAfterMs ?? 0);
        await outcomeOf(status({ refresh: true, all: false }, context));
        if (late && step.step === 'lose') another();
        return 'ok';
      }
    }
  }

  const usdOf = (machine: FakeMachine) => {
    const seconds = Math.max(minimum, Math.ceil((endOf(machine) - machine.launchedAt) / 1000 / increment) * increment);
    return (seconds / 3600) * machine.plan.offer.price.perHour;
  };
  return {
    context,
    provider: cloud,
    take,
    allowed: () => allowed,
    bill: () => {
      const machines = cloud.machines.slice(first);
      const dearest = Math.max(0, ...machines.map(({ plan }) => plan.offer.price.perHour));
      return { usd: machines.reduce((sum, machine) => sum + usdOf(machine), 0), increment: (dearest * increment) / 3600 };
    },
    [Symbol.dispose]: () => fake[Symbol.dispose](),
  };
}

function runningJob(machineId: string, now: number) {
  const times = { createdAt: now, startedAt: now, endedAt: null, asOf: now };
  const job = { id: `job-${machineId}`, machineId, machineName: fakeInput.name, command: 'true', state: 'running', end: null } as const;
  return { ...job, attempts: 1, user: 'u', branch: null, ...times };
}

const boots: Fate = { becomes: 'ready', afterMs: 30_000 };
const breaks: Fate = { becomes: 'broken', afterMs: 90_000 };
/** One of everything, whatever chance brings. */
const everything: readonly Step[] = [
  { step: 'up', budgetUsd: 10, prices: [2], fates: [boots] }, // 5 hours; 4 are ordered
  { step: 'extend', bySeconds: 1_800 },
  { step: 'extend', bySeconds: 7_200 },
  { step: 'pass', ms: hour },
  { step: 'preempt', noticedAfterMs: 8 * hour },
  { step: 'up', budgetUsd: 10, prices: [4], fates: [boots] },
  { step: 'pass', ms: hour },
  { step: 'lose' },
  { step: 'up', budgetUsd: 10, prices: [60], fates: [breaks] },
  { step: 'up', budgetUsd: 4, prices: [60], fates: [boots] },
  { step: 'up', budgetUsd: 10, prices: [60, 60], fates: [breaks, boots] },
  { step: 'pass', ms: hour },
  { step: 'up', budgetUsd: 1, prices: [60], fates: [boots] },
];

test('spent <= budget + one billing increment', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-money-'));
  const file = join(folder, 'runner.mjs');
  writeFileSync(file, content);
  const seen = new Map<string, number>();
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 3, maxLength: 14 }), async (steps) => {
        using world = createWorld(file);
        for (const step of steps) {
          const outcome = await world.take(step);
          const key = `${step.step}: ${outcome}`;
          seen.set(key, (seen.get(key) ?? 0) + 1);
          const bill = world.bill();
          expect(bill.usd, key).toBeLessThanOrEqual(world.allowed() + bill.increment + 1e-9);
          const newest = world.context.ledger.list({ made: true, limit: 1 })[0];
          // What is booked on the run is never less than what its provider asks for.
          if (newest !== undefined && bill.usd > 0) expect(spentBy(newest, world.context), key).toBeGreaterThanOrEqual(bill.usd - 1e-9);
          // Nor is it more, but for what passes while a machine is ordered and looked at: a machine is not paid for until somebody notices that it is gone.
          if (newest !== undefined && bill.usd > 0) expect(spentBy(newest, world.context), key).toBeLessThanOrEqual(bill.usd + bill.increment * 10 + 1e-9);
          if (outcome === 'budget') seen.set('after earlier attempts', (seen.get('after earlier attempts') ?? 0) + (bill.usd > 0 ? 1 : 0));
        }
      }),
      { numRuns: 40, examples: [[[...everything]]] },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  for (const key of ['up: ok', 'up: budget', 'up: connection', 'extend: ok', 'extend: budget', 'preempt: ok', 'lose: ok', 'after earlier attempts'])
    expect(seen.get(key) ?? 0, `${key}, of ${JSON.stringify([...seen])}`).toBeGreaterThan(0);
});
