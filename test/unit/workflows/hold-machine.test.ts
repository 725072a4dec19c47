/** A machine for which a job is being prepared, of which nobody else can hear yet, is nobody's to take down. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { identifyProcess } from '../../../src/core/process-identity.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { holdMachine } from '../../../src/workflows/hold-machine.ts';
import { whoCame } from '../../../src/workflows/last-one.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

let fake: FakeContext;
afterEach(() => fake[Symbol.dispose]());

function readyMachine() {
  fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock }) }));
  const { ledger, self } = fake.context;
  const { entry } = ledger.open({ ...someIntent('cats-1', 'cats'), holder: self, forOneJob: true });
  ledger.note('cats-1', { fact: 'ready', access: null } as never);
  ledger.release('cats-1', self);
  return { entry, stays: () => whoCame(null, entry, { teardown: 'auto' }, fake.context) };
}

test('it stays as long as one of those who prepare lives and has not given up', async () => {
  const { entry, stays } = readyMachine();
  const other = spawn('sleep', ['60']);
  const killed = await holdMachine(entry, { ...fake.context, self: identifyProcess(other.pid ?? 0) ?? expect.unreachable() });
  const mine = await holdMachine(entry, fake.context);
  const second = await holdMachine(entry, fake.context);
  mine?.[Symbol.dispose]();
  expect(stays()).toBe("'cats' stays up: another job is being prepared for it");
  const third = await holdMachine(entry, fake.context);
  mine?.[Symbol.dispose](); // again: its place is another's
  second?.[Symbol.dispose]();
  expect(stays()).not.toBeNull();
  third?.[Symbol.dispose]();
  expect([stays() === null, killed === null]).toEqual([false, false]);
  other.kill('SIGKILL');
  await once(other, 'exit');
  expect(stays()).toBeNull();
});

test('whoever has not seen that, and is about to end it, is waited for: it is held, or known to have ended', async () => {
  const { entry, stays } = readyMachine();
  const { ledger, self } = fake.context;
  const held: (Disposable | null)[] = [];
  const holding = () => void holdMachine(entry, fake.context).then((hold) => held.push(hold));
  ledger.claim('cats-1', self);
  holding();
  await fake.clock.advance(1_000);
  expect(held).toEqual([]);
  ledger.release('cats-1', self);
  await fake.clock.advance(1_000);
  expect([held.length, held[0] === null, stays() === null]).toEqual([1, false, false]);
  held.pop()?.[Symbol.dispose]();
  ledger.claim('cats-1', self);
  holding();
  await fake.clock.advance(1_000);
  ledger.note('cats-1', { fact: 'ending', reason: 'job-1 ended' });
  await fake.clock.advance(1_000);
  expect([held, stays()]).toEqual([[null], null]);
});

test('where no folder can be read nothing is held, and nobody fails at it', () => {
  const { entry } = readyMachine();
  const { context } = fake;
  const home = { ...context.home, scratch: context.home.ledger }; // a file
  expect(whoCame(null, entry, { teardown: 'auto' }, { ...context, home })).toBeNull();
});
