/** When whoever follows hears of the money, by a clock that the test turns. */
import { afterEach, expect, test } from 'vitest';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { warnOfBudget } from '../../../src/workflows/budget-warnings.ts';
import type { JobEvent } from '../../../src/workflows/job-event.ts';
import { status } from '../../../src/workflows/status.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

let fake: FakeContext;
afterEach(() => fake[Symbol.dispose]());

const minute = 60_000;
const access = { kind: 'own', host: '127.0.0.1', port: 9, user: 'u', hostKeys: [] } as const;

/** A dollar a minute, ten dollars, unless it is said otherwise. */
function machineOf({
  perHour = 60,
  ...changes
}: {
  readonly perHour?: number;
  readonly budgetUsd?: number | null;
  readonly spentBeforeUsd?: number;
} = {}): MachineEntry {
  fake = createFakeContext((clock) => ({ local: createFakeProvider({ clock, id: 'local' }) }));
  const { ledger, clock } = fake.context;
  const intent = someIntent('cats-1', 'cats');
  const offer = { ...intent.offer, price: { ...intent.offer.price, perHour } };
  ledger.open({ ...intent, budgetUsd: 10, offer, deadline: clock.now() + 10 * minute, billing: { minimumSeconds: 60, incrementSeconds: 1 }, ...changes });
  return ledger.note('cats-1', { fact: 'ready', access });
}

/** What one who follows is told, in order: minutes after the start, and the sentence. */
function followers() {
  const told: [number, string][] = [];
  const start = fake.clock.now();
  const tell = (event: JobEvent) => {
    if (event.type !== 'note') throw new Error(event.type);
    expect(event.level).toBe('warn');
    told.push([(event.at - start) / minute, event.text]);
  };
  return { told, tell };
}

test('at 50 and at 80 %, to the millisecond, once each, and then never again', async () => {
  const machine = machineOf();
  const { told, tell } = followers();
  await using _ = warnOfBudget(machine, tell, fake.context);
  await fake.clock.advance(5 * minute - 1);
  expect(told).toEqual([]);
  await fake.clock.advance(1);
  expect(told).toEqual([[5, "50 % of the budget of $10.00 is spent ($5.00): 'cats' ends at 2026-01-01T00:10:00Z at the latest"]]);
  await fake.clock.advance(3 * minute - 1);
  expect(told).toHaveLength(1);
  await fake.clock.advance(1);
  expect(told.slice(1)).toEqual([[8, "80 % of the budget of $10.00 is spent ($8.00): 'cats' ends at 2026-01-01T00:10:00Z at the latest"]]);
  expect(fake.clock.sleeping).toBe(0);
  await fake.clock.advance(2 * minute);
  expect(told).toHaveLength(2);
});

test('who comes later, or wakes up later, hears the last one alone, with what is spent by then', async () => {
  const machine = machineOf();
  await fake.clock.advance(6 * minute);
  const one = followers();
  await using _one = warnOfBudget(machine, one.tell, fake.context);
  await fake.clock.advance(0);
  expect(one.told).toEqual([[-1, expect.stringMatching(/^60 % .*\(\$6\.00\)/)]]);
  await fake.clock.advance(3 * minute);
  expect(one.told.slice(1)).toEqual([[2, expect.stringMatching(/^80 % /)]]);
  const two = followers();
  await using _two = warnOfBudget(machine, two.tell, fake.context);
  await fake.clock.advance(0);
  expect(two.told).toEqual([[-1, expect.stringMatching(/^90 % /)]]);
  fake[Symbol.dispose]();
  const asleep = machineOf();
  const three = followers();
  await using _three = warnOfBudget(asleep, three.tell, fake.context);
  await fake.clock.jump(9 * minute);
  expect(three.told).toEqual([[8, expect.stringMatching(/^90 % /)]]);
});

test('what earlier attempts have spent counts, and so does what is billed at least', async () => {
  const machine = machineOf({ spentBeforeUsd: 4 });
  const { told, tell } = followers();
  await using _ = warnOfBudget(machine, tell, fake.context);
  await fake.clock.advance(0);
  expect(told).toEqual([[0, expect.stringMatching(/^50 % /)]]); // the first minute is billed at once
  await fake.clock.advance(4 * minute);
  expect(told.slice(1)).toEqual([[4, expect.stringMatching(/^80 % /)]]);
});

test('no budget, or nothing that is billed: nothing is said, and nobody waits', async () => {
  for (const changes of [{ budgetUsd: null }, { perHour: 0 }]) {
    const machine = machineOf(changes);
    const { told, tell } = followers();
    await using _ = warnOfBudget(machine, tell, fake.context);
    await fake.clock.advance(20 * minute);
    expect(told).toEqual([]);
    expect(fake.clock.sleeping).toBe(0);
    expect((await status({ refresh: false, all: false }, fake.context)).machines).toMatchObject([{ budget: null }]);
    if (changes.budgetUsd === null) fake[Symbol.dispose]();
  }
});

test('who has stopped following is told no more, and one who can not be told is no failure', async () => {
  const machine = machineOf();
  const { told, tell } = followers();
  const warnings = warnOfBudget(machine, tell, fake.context);
  await fake.clock.advance(5 * minute);
  await warnings[Symbol.asyncDispose]();
  expect(fake.clock.sleeping).toBe(0);
  await fake.clock.advance(5 * minute);
  expect(told).toHaveLength(1);
  const broken = warnOfBudget(machine, () => Promise.reject(new Error('EPIPE')), fake.context);
  await fake.clock.advance(0);
  await broken[Symbol.asyncDispose]();
});

test('status says how much is spent, and which warning was the last', async () => {
  machineOf({ spentBeforeUsd: 1 });
  const look = async () => (await status({ refresh: false, all: true }, fake.context)).machines[0]?.budget;
  expect(await look()).toEqual({ usd: 10, spentUsd: 2, reached: null, warning: null });
  await fake.clock.advance(4 * minute);
  expect(await look()).toMatchObject({ spentUsd: 5, reached: 0.5, warning: expect.stringContaining('50 %') });
  await fake.clock.advance(3 * minute + 30_000);
  fake.context.ledger.note('cats-1', { fact: 'gone', reason: 'down', leftovers: [] });
  await fake.clock.advance(60 * minute);
  expect(await look()).toMatchObject({ spentUsd: 8.5, reached: 0.8 });
});

test('what was never spent is not warned of: not after a sleep beyond the deadline, nor to whoever follows', async () => {
  const machine = machineOf({ perHour: 6 }); // ten minutes at ten cents a minute
  const { told, tell } = followers();
  await using _ = warnOfBudget(machine, tell, fake.context);
  await fake.clock.jump(300 * minute);
  expect((await status({ refresh: false, all: false }, fake.context)).machines[0]?.budget).toEqual({ usd: 10, spentUsd: 1, reached: null, warning: null });
  expect(told).toEqual([]);
});
