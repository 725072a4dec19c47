/** What is booked, against a meter that was written apart from it, over random histories of machines and jobs in a real ledger. */
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JobEntry } from '../../../src/core/job.ts';
import type { Access, MachineRef } from '../../../src/core/machine.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { migrations } from '../../../src/ledger/ledger-schema.ts';
import { openLedgerOn } from '../../../src/ledger/sqlite-ledger.ts';
import { wholeCost } from '../../../src/workflows/cost-egress.ts';
import { costGroupings } from '../../../src/workflows/cost-spans.ts';
import { billedSeconds, reportCost } from '../../../src/workflows/report-cost.ts';
import { noteGone } from '../../../src/workflows/settle-gone.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { type CostMeter, createCostMeter, type MeterRules } from '../../support/cost-meter.ts';

const start = Date.UTC(2026, 10, 1, 22);
const hour = 3_600_000;
const access: Access = { kind: 'own', host: '127.0.0.1', port: 9, user: 'u', hostKeys: [] };

type Step =
  | { readonly step: 'order'; readonly outcome: 'made' | 'refused' | 'unknown'; readonly price: number; readonly before: number; readonly after: number }
  | { readonly step: 'ready' | 'extend' | 'job' | 'job-end'; readonly pick: number }
  | { readonly step: 'end'; readonly pick: number; readonly noticedAfterMs: number }
  | { readonly step: 'pull'; readonly pick: number; readonly bytes: number; readonly ofJob: boolean }
  | { readonly step: 'pass'; readonly ms: number };

/** Short spans, where minima and increments count, and long ones, over midnights and deadlines. */
const someMs = fc.oneof(fc.nat({ max: 3_000 }), fc.nat({ max: 100_000 }), fc.nat({ max: 9 * hour }));
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    step: fc.constant('order' as const),
    outcome: fc.constantFrom('made' as const, 'made' as const, 'refused' as const, 'unknown' as const),
    price: fc.double({ min: 0, max: 120, noNaN: true }),
    before: fc.nat({ max: 20_000 }),
    after: fc.nat({ max: 20_000 }),
  }),
  fc.record({ step: fc.constantFrom('ready' as const, 'extend' as const, 'job' as const, 'job-end' as const), pick: fc.nat() }),
  fc.record({ step: fc.constant('end' as const), pick: fc.nat(), noticedAfterMs: someMs }),
  fc.record({ step: fc.constant('pull' as const), pick: fc.nat(), bytes: fc.nat({ max: 2_000_000_000 }), ofJob: fc.boolean() }),
  fc.record({ step: fc.constant('pass' as const), ms: someMs }),
);
const anyRules: fc.Arbitrary<MeterRules> = fc.constantFrom(
  { minimumSeconds: 60, incrementSeconds: 1 },
  { minimumSeconds: 0, incrementSeconds: 1 },
  { minimumSeconds: 0, incrementSeconds: 0 },
  { minimumSeconds: 600, incrementSeconds: 60 },
  { minimumSeconds: 0, incrementSeconds: 3_600 },
);

interface World {
  readonly ledger: Ledger;
  readonly meter: CostMeter;
  now: number;
  count: number;
}

function createWorld(rules: MeterRules): World {
  const db = new DatabaseSync(':memory:');
  for (const statements of migrations) db.exec(statements);
  const world: World = {
    ledger: openLedgerOn(db, { now: () => world.now, sleep: () => Promise.resolve() }),
    meter: createCostMeter(start, rules),
    now: start,
    count: 0,
  };
  return world;
}

function pass(world: World, ms: number): void {
  world.now += ms;
  world.meter.pass(ms);
}

function take(world: World, step: Step, billing: MeterRules): void {
  const { ledger, meter } = world;
  if (step.step === 'pass') {
    pass(world, step.ms);
    return;
  }
  if (step.step === 'order') {
    const id = `m-${world.count++}`;
    const intent = someIntent(id, id);
    const deadline = world.now + 4 * hour;
    const who = { user: `user-${world.count % 3}`, branch: world.count % 2 === 0 ? 'main' : null, template: world.count % 2 === 0 ? 'gcp-l4' : null };
    const perGb = world.count % 3 === 0 ? null : world.count % 3 === 1 ? 0.12 : 0.08;
    const egress = perGb === null ? {} : { egress: { perGb, currency: 'USD' as const, asOf: 1, source: 'test' } };
    const offer = { ...intent.offer, ...egress, price: { ...intent.offer.price, perHour: step.price } };
    ledger.open({ ...intent, ...who, offer, deadline, billing, commit: `${world.count % 4}`.repeat(40) });
    if (step.outcome === 'refused') {
      pass(world, step.before);
      ledger.note(id, { fact: 'never-made', code: 'no-capacity', reason: 'none' });
      return;
    }
    if (step.outcome === 'made') pass(world, step.before);
    meter.begin(id, step.price, deadline, (perGb ?? 0) / 1000);
    if (step.outcome === 'unknown') return; // it was made at once, and we were never told
    const ref: MachineRef = { provider: 'local', id, name: id, labels: {}, createdAt: world.now, data: {} };
    pass(world, step.after);
    ledger.note(id, { fact: 'launched', ref });
    return;
  }
  const live = ledger.list({ live: true });
  const machine = live[step.pick % Math.max(1, live.length)];
  if (machine === undefined) return;
  const newest = ledger.listJobs({ machineId: machine.id, limit: 1 })[0];
  const isOver = !meter.runs(machine.id);
  if (step.step === 'ready' && !isOver) ledger.note(machine.id, { fact: 'ready', access });
  if (step.step === 'extend' && !isOver) {
    ledger.note(machine.id, { fact: 'deadline', deadline: machine.deadline + hour });
    meter.extend(machine.id, machine.deadline + hour);
  }
  if (step.step === 'end') {
    meter.end(machine.id);
    const endedAt = Math.min(world.now, machine.deadline);
    pass(world, step.noticedAfterMs);
    noteGone(machine, 'ended', { leftovers: [], endedAt }, { ledger, clock: { now: () => world.now, sleep: () => Promise.resolve() } });
  }
  if (step.step === 'pull' && machine.readyAt !== null) {
    meter.leave(machine.id, step.bytes);
    ledger.note(machine.id, { fact: 'pulled', bytes: step.bytes, job: step.ofJob ? (newest?.id ?? null) : null });
  }
  if (step.step === 'job' && machine.readyAt !== null && (newest?.endedAt !== null || step.pick % 2 === 0)) {
    ledger.putJob({ ...jobOn(machine.id, world), gpus: step.pick % 3 === 0 ? null : { count: 1 + (step.pick % 4), of: 4 } });
  }
  if (step.step === 'job-end' && newest?.endedAt === null) ledger.putJob({ ...newest, state: 'ended', endedAt: world.now });
}

function jobOn(machineId: string, world: World): JobEntry {
  const times = { createdAt: world.now, startedAt: world.now, endedAt: null, asOf: world.now };
  const id = `job-${world.count++}`;
  return { id, machineId, machineName: machineId, command: 'true', state: 'running', end: null, attempts: 1, user: 'job-user', branch: 'dev', ...times };
}

test('what is booked is what the meter says, however it is cut up, at any time', () => {
  let machines = 0;
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 5, maxLength: 40 }), anyRules, someMs, (steps, rules, cut) => {
      const world = createWorld(rules);
      const { ledger, meter } = world;
      const context = { ledger, clock: { now: () => world.now, sleep: () => Promise.resolve() } };
      for (const [index, step] of steps.entries()) {
        take(world, step, rules);
        if (index % 7 !== 0 && index !== steps.length - 1) continue;
        for (const by of costGroupings) {
          const { totalUsd, totalSeconds, totalEgressUsd, items } = reportCost({ by, since: null }, context);
          expect(Math.abs(totalUsd - meter.usd() - meter.egressUsd()), by).toBeLessThan(1e-6);
          expect(Math.abs((totalEgressUsd ?? 0) - meter.egressUsd()), by).toBeLessThan(1e-6);
          expect(Math.abs(items.reduce((sum, { egressUsd }) => sum + (egressUsd ?? 0), 0) - meter.egressUsd()), by).toBeLessThan(1e-6);
          expect(Math.abs(items.reduce((sum, { usd }) => sum + usd, 0) - totalUsd), by).toBeLessThan(1e-6);
          expect(Math.abs(items.reduce((sum, { seconds }) => sum + seconds, 0) - totalSeconds), by).toBeLessThan(1e-6);
          for (const { usd, seconds } of items) expect(usd >= 0 && seconds >= 0 && Number.isFinite(usd + seconds), by).toBe(true);
          const middle = start + cut;
          const parts = [reportCost({ by, since: null, until: middle }, context), reportCost({ by, since: middle }, context)];
          expect(Math.abs(parts.reduce((sum, part) => sum + part.totalUsd, 0) - totalUsd), by).toBeLessThan(1e-6);
          const short = reportCost({ by, since: null, limit: 2 }, context);
          expect(short.items.length).toBeLessThanOrEqual(2);
          expect(Math.abs(short.items.reduce((sum, { usd }) => sum + usd, 0) + short.omitted.usd - totalUsd), by).toBeLessThan(1e-6);
        }
      }
      for (const machine of ledger.list().filter(({ neverMade }) => neverMade === undefined)) {
        machines++;
        const perHour = machine.offer.price.perHour;
        expect((billedSeconds(machine, world.now) / 3600) * perHour).toBeCloseTo(meter.usdOf(machine.id), 6);
      }
      const failed = ledger
        .list()
        .filter(({ neverMade, readyAt, state, id }) => neverMade === undefined && readyAt === null && state === 'gone' && meter.usdOf(id) > 0);
      const told = reportCost({ by: 'machine', since: null }, context).failed;
      expect(told.usd).toBeCloseTo(
        failed.reduce((sum, { id }) => sum + meter.usdOf(id), 0),
        6,
      );
      ledger.close();
    }),
    { numRuns: 60 },
  );
  expect(machines).toBeGreaterThan(50);
});

test('what was fetched counts for the job that it belongs to, at the end of the machine; elsewhere it is no column', () => {
  const world = createWorld({ minimumSeconds: 60, incrementSeconds: 1 });
  const { ledger } = world;
  const context = { ledger, clock: { now: () => world.now, sleep: () => Promise.resolve() } };
  take(world, { step: 'order', outcome: 'made', price: 3.6, before: 0, after: 0 }, { minimumSeconds: 60, incrementSeconds: 1 });
  ledger.note('m-0', { fact: 'ready', access });
  ledger.putJob(jobOn('m-0', world));
  pass(world, 100_000);
  expect(reportCost({ by: 'machine', since: null }, context)).toMatchObject({ totalEgressUsd: 0, items: [{ egressUsd: 0 }] });
  ledger.note('m-0', { fact: 'pulled', bytes: 5e9, job: 'job-1' });
  ledger.note('m-0', { fact: 'pulled', bytes: 5e9, job: 'job-1' });
  ledger.note('m-0', { fact: 'pulled', bytes: 2.5e9, job: null });
  expect(ledger.get('m-0')?.pulled).toEqual({ 'job-1': 1e10, '': 2.5e9 });
  const byJob = reportCost({ by: 'job', since: null }, context);
  expect(byJob.items.map(({ key, usd, egressUsd }) => [key, usd.toFixed(2), egressUsd?.toFixed(2)])).toEqual([
    ['job-1', '1.30', '1.20'],
    ['(between jobs, m-0)', '0.30', '0.30'],
  ]);
  expect(reportCost({ by: 'job', since: null, limit: 1 }, context).omitted.egressUsd).toBeCloseTo(0.3, 9);
  expect(reportCost({ by: 'machine', since: null, until: world.now - 5_000 }, context).totalEgressUsd).toBe(0);
  expect(reportCost({ by: 'machine', since: world.now - 5_000 }, context).totalEgressUsd).toBeCloseTo(1.5, 9);
  expect(wholeCost(ledger.note('m-0', { fact: 'gone', reason: 'down', leftovers: [] }), world.now)).toBeCloseTo(1.6, 9);
  ledger.note('m-0', { fact: 'pulled', bytes: 1e9, job: null }); // what was on the way when the end was noted
  expect(reportCost({ by: 'day', since: null }, context).totalEgressUsd).toBeCloseTo(1.62, 9);
  ledger.close();
  const other = createWorld({ minimumSeconds: 0, incrementSeconds: 0 });
  other.count = 2;
  take(other, { step: 'order', outcome: 'made', price: 3.6, before: 0, after: 0 }, { minimumSeconds: 0, incrementSeconds: 0 });
  pass(other, 1_000);
  expect(reportCost({ by: 'machine', since: null }, { ledger: other.ledger, clock: { ...context.clock, now: () => other.now } }).totalEgressUsd).toBeNull();
  other.ledger.close();
});

test("a provider's clock that is off moves the beginning no further than between the order and our knowing", () => {
  for (const [providerTime, seconds] of [
    [-7_200_000, 110],
    [5_000, 105],
    [7_200_000, 100],
  ] as const) {
    const world = createWorld({ minimumSeconds: 0, incrementSeconds: 0 });
    world.ledger.open({ ...someIntent('m', 'm'), deadline: start + hour });
    world.now += 10_000;
    world.ledger.note('m', { fact: 'launched', ref: { provider: 'local', id: 'm', name: 'm', labels: {}, createdAt: start + providerTime, data: {} } });
    world.now += 100_000;
    const machine = world.ledger.note('m', { fact: 'gone', reason: 'down', leftovers: [] });
    expect(billedSeconds(machine, world.now)).toBe(seconds);
    world.ledger.close();
  }
});

test('failed attempts are named with their reasons; what runs now is live; prices are those of the orders', () => {
  const world = createWorld({ minimumSeconds: 60, incrementSeconds: 1 });
  const { ledger } = world;
  const context = { ledger, clock: { now: () => world.now, sleep: () => Promise.resolve() } };
  const rules = { minimumSeconds: 60, incrementSeconds: 1 };
  take(world, { step: 'order', outcome: 'made', price: 36, before: 0, after: 0 }, rules);
  pass(world, 5_000);
  ledger.note('m-0', { fact: 'gone', reason: 'start failed: no GPU', leftovers: [] });
  take(world, { step: 'order', outcome: 'made', price: 3.6, before: 0, after: 0 }, rules);
  ledger.note('m-1', { fact: 'ready', access });
  ledger.putJob(jobOn('m-1', world));
  pass(world, 100_000);
  const byMachine = reportCost({ by: 'machine', since: null }, context);
  expect(byMachine.failed).toMatchObject({ count: 1, attempts: [{ id: 'm-0', seconds: 60, reason: 'start failed: no GPU' }] });
  expect(byMachine.items).toMatchObject([
    { key: 'm-0 (m-0)', text: 'm-0 (m-0), never ready', live: false },
    { key: 'm-1 (m-1)', text: 'm-1 (m-1)', live: true, prices: [{ price: { perHour: 3.6 }, source: 'test', asOf: 1 }] },
  ]);
  expect(byMachine.items.map(({ usd }) => usd.toFixed(2))).toEqual(['0.60', '0.10']);
  expect(reportCost({ by: 'job', since: null }, context).items.map(({ key, live }) => [key, live])).toEqual([
    ['(never ready, m-0)', false],
    ['job-2', true],
  ]);
  expect(reportCost({ by: 'machine', since: null, until: world.now - 1 }, context).items.map(({ live }) => live)).toEqual([false, false]);
  const commits = reportCost({ by: 'commit', since: null }, context).items.map(({ key, text }) => [key, text]);
  expect(commits).toEqual([
    ['1'.repeat(40), '1'.repeat(12)],
    ['(no commit)', '(no commit)'],
  ]);
  ledger.close();
});

test('jobs run one at a time: one whose end nobody here heard of takes nothing from the next', () => {
  const world = createWorld({ minimumSeconds: 0, incrementSeconds: 0 });
  const { ledger } = world;
  const context = { ledger, clock: { now: () => world.now, sleep: () => Promise.resolve() } };
  take(world, { step: 'order', outcome: 'made', price: 36, before: 0, after: 0 }, { minimumSeconds: 0, incrementSeconds: 0 });
  ledger.note('m-0', { fact: 'ready', access });
  ledger.putJob(jobOn('m-0', world));
  pass(world, 100_000);
  const next = jobOn('m-0', world);
  pass(world, 800_000);
  ledger.putJob({ ...next, state: 'ended', endedAt: world.now });
  pass(world, 100_000);
  expect(reportCost({ by: 'job', since: null }, context).items.map(({ key, usd }) => [key, usd])).toEqual([
    ['job-2', 8],
    ['(between jobs, m-0)', 1],
    ['job-1', 1],
  ]);
  ledger.close();
});
