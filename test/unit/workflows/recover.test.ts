import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Offer } from '../../../src/core/offer.ts';
import { identifyProcess } from '../../../src/core/process-identity.ts';
import type { LaunchPlan } from '../../../src/providers/provider.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import { cancel } from '../../../src/workflows/cancel.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { down } from '../../../src/workflows/down.ts';
import { extend } from '../../../src/workflows/extend.ts';
import { push } from '../../../src/workflows/push.ts';
import { besideRecovery, recover } from '../../../src/workflows/recover.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

test.each([true, false])('kill -9 while a machine is ordered: it is looked for by its name, in its place, and ended (it was made: %s)', async (made) => {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-killed-'));
  const { stdout, signal, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'ordering-process.ts'), root], { encoding: 'utf8' });
  expect(signal, stderr).toBe('SIGKILL');
  const plan = JSON.parse(stdout) as LaunchPlan;
  let provider: FakeProvider | null = null;
  using fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock, expects: true });
    return { fake: provider };
  }, root);
  const { machines, calls, launch } = provider as unknown as FakeProvider;
  if (made) await launch(plan);
  expect(fake.context.ledger.list()).toMatchObject([{ id: plan.id, state: 'intent', requestId: plan.requestId, ref: { id: plan.id, createdAt: null } }]);
  await recover(fake.context);
  expect(calls).toEqual(made ? ['launch', 'terminate'] : ['terminate']); // no list of everything
  expect(machines.filter(({ goneAt }) => goneAt === null)).toEqual([]);
  expect(fake.context.ledger.list()).toMatchObject([{ state: 'gone', holder: null }]);
});

/** Left half made by a process that has died. */
async function abandon(name: string, { context, clock }: FakeContext, provider: FakeProvider): Promise<void> {
  const need = { spot: false, regions: [], nodes: 1, providerOptions: {} };
  const offers: Offer[] = [];
  for await (const offer of provider.offers(need)) offers.push(offer);
  const id = `${name}-abcdef`;
  const deadline = clock.now() + 3_600_000;
  const labels = { 'gpu-run-owner': context.owner, 'gpu-run-machine': id };
  const plan = { id, name, labels, offer: offers[0] as Offer, need, requestId: name, deadline, idleSeconds: null, sshPublicKey: '' };
  const more = { provider: 'fake', owner: context.owner, template: null, budgetUsd: null, forOneJob: false, user: 'u', branch: null };
  context.ledger.open({ ...plan, ...more, holder: { pid: 2 ** 22 + 1, started: 'never' } });
  await provider.launch(plan);
}

function open(endMs = 0) {
  let provider: FakeProvider | null = null;
  const fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock, endMs });
    return { fake: provider };
  });
  return { fake, provider: provider as unknown as FakeProvider };
}

test.each<[string, (context: RunContext) => Promise<unknown>]>([
  ['sync', (context) => push({ name: 'none', sync: { code: '/nowhere', exclude: [], data: [] }, outputs: [] }, context)],
  ['extend', (context) => extend({ name: 'none', bySeconds: 60 }, context)],
  ['down', (context) => down({ names: [], all: true }, context)],
  ['cancel', (context) => cancel({ jobId: 'job-1', graceMs: null }, context)],
])('%s clears up what a dead gpu-run has left, whatever becomes of its own work', async (command, run) => {
  const { fake, provider } = open();
  using _ = fake;
  await abandon('cats', fake, provider);
  fake.context.ledger.putJob({
    id: 'job-1',
    machineId: 'gone-1',
    machineName: 'gone',
    command: 'x',
    state: 'ended',
    end: null,
    attempts: 1,
    createdAt: 0,
    startedAt: 0,
    endedAt: 1,
    asOf: 1,
    user: 'u',
    branch: null,
  });
  const outcome = await run(fake.context).then(
    () => 'done',
    (error: unknown) => (error as { readonly code: string }).code,
  );
  expect([command, outcome]).toEqual([command, command === 'sync' || command === 'extend' ? 'not-found' : 'done']);
  expect(provider.machines.map(({ goneAt }) => goneAt)).not.toContain(null);
  expect(fake.context.ledger.list({ live: true })).toEqual([]);
});

test('a clearing up that fails fails nobody: it is said, and the next one does it', async () => {
  const { fake, provider } = open();
  using _ = fake;
  await abandon('cats', fake, provider);
  provider.failNext('terminate', new Error('HTTP 500'));
  expect(await besideRecovery(fake.context, async () => 'worked')).toBe('worked');
  expect(fake.reports).toContainEqual(expect.objectContaining({ type: 'note', level: 'warn', text: expect.stringContaining('HTTP 500') }));
  expect(fake.context.ledger.list({ live: true })).toMatchObject([{ state: 'ending', holder: null }]);
  await recover(fake.context);
  expect(fake.context.ledger.list({ live: true })).toEqual([]);
});

test('what another process is clearing up is left to it; what it has brought to an end meanwhile is not ended again', async () => {
  const { fake, provider } = open();
  using _ = fake;
  const { ledger } = fake.context;
  await abandon('cats', fake, provider);
  const other = identifyProcess(process.ppid);
  if (other === null) throw new Error('no parent');
  expect(ledger.claim('cats-abcdef', other)).toBe(true);
  await recover(fake.context);
  expect(provider.calls).not.toContain('terminate');
  ledger.release('cats-abcdef', other);

  // It was done between our look and our claim.
  const claim: typeof ledger.claim = (id, holder) => {
    ledger.note(id, { fact: 'gone', reason: 'the other one', leftovers: [] });
    return ledger.claim(id, holder);
  };
  ledger.note('cats-abcdef', { fact: 'ending', reason: 'x' });
  await recover({ ...fake.context, ledger: { ...ledger, claim } });
  expect(provider.calls).not.toContain('terminate');
  expect(ledger.get('cats-abcdef')).toMatchObject({ state: 'gone', holder: null });
});

test('machines whose end their provider does not confirm are told to end, side by side, and then keep nobody waiting', async () => {
  const { fake, provider } = open(10 * 3_600_000);
  using _ = fake;
  const { context, clock } = fake;
  for (const name of ['cats', 'dogs']) await abandon(name, fake, provider);
  const from = clock.now();
  let over = 0;
  const work = besideRecovery(context, async () => 'synced').then(() => {
    over = clock.now() - from;
  });
  for (let n = 0; n < 200 && over === 0; n++) await clock.advance(1_000);
  await work;
  expect(over / 1000).toBeLessThan(30);
  expect(provider.calls.filter((call) => call === 'terminate')).toHaveLength(2);
  expect(context.ledger.list({ live: true })).toMatchObject([
    { state: 'ending', holder: null },
    { state: 'ending', holder: null },
  ]);
  expect(JSON.stringify(fake.reports)).toMatch(/dogs-abcdef[^"]* may still be running and billing: it was not done within 20 seconds/);
});

test('an interruption ends the waiting for what was left', async () => {
  const { fake, provider } = open(10 * 3_600_000);
  using _ = fake;
  await abandon('cats', fake, provider);
  const recovered = recover(fake.context);
  fake.abort.abort();
  await recovered; // the clock stands
  expect(fake.context.ledger.list({ live: true })).toMatchObject([{ holder: null }]);
});

test('keys of which only a part was thrown away are thrown away by the next one', async () => {
  const { fake, provider } = open();
  using _ = fake;
  const { context } = fake;
  await abandon('cats', fake, provider);
  mkdirSync(context.home.keys, { recursive: true });
  for (const suffix of ['', '.pub', '.known_hosts']) writeFileSync(join(context.home.keys, `cats-abcdef${suffix}`), '');
  // A folder in place of a file: it ends there, as a process that is killed does.
  rmSync(join(context.home.keys, 'cats-abcdef.known_hosts'));
  mkdirSync(join(context.home.keys, 'cats-abcdef.known_hosts'));
  await recover(context);
  rmdirSync(join(context.home.keys, 'cats-abcdef.known_hosts'));
  writeFileSync(join(context.home.keys, 'cats-abcdef.known_hosts'), '');
  await recover(context);
  expect(readdirSync(context.home.keys)).toEqual([]);
});
