/** What ends a machine if nobody comes back: told from what was armed; and how its deadline is moved. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { MachineRef } from '../../../src/core/machine.ts';
import { identifyProcess } from '../../../src/core/process-identity.ts';
import type { Provider, ProviderTraits } from '../../../src/providers/provider.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import { endClaimed } from '../../../src/workflows/down.ts';
import { extend } from '../../../src/workflows/extend.ts';
import { rearmWatchdog } from '../../../src/workflows/protection.ts';
import { reachMachine } from '../../../src/workflows/reach-machine.ts';
import { up } from '../../../src/workflows/up.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { pipeTransport } from '../../support/runner.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

const built = useBuiltRunner();
let fake: FakeContext;
let provider: FakeProvider;
let context: RunContext;
let home: string;
afterEach(() => fake[Symbol.dispose]());

function prepare(traits: Partial<ProviderTraits>, parts: Partial<Provider> = {}): void {
  fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock, traits, offers: [{ price: { currency: 'USD', perHour: 2 } as never }] });
    Object.assign(provider, parts);
    return { fake: provider };
  });
  home = mkdtempSync(join(built.folder, 'home-'));
  // What would switch this computer off is replaced, every way of it.
  for (const name of ['shutdown', 'systemctl', 'poweroff']) writeFileSync(join(home, name), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  writeFileSync(join(home, 'sudo'), '#!/bin/sh\nshift; exec "$@"\n', { mode: 0o755 });
  const env = { PATH: `${home}:${dirname(process.execPath)}:/usr/bin:/bin`, HOME: home, METADATA_SERVER_DETECTION: 'none' };
  context = { ...fake.context, connect: () => pipeTransport(env), runner: { ...fake.context.runner, file: built.script, version: 'test-1' } };
}

const hour = 3_600_000;
const armed = (id: string) => JSON.parse(readFileSync(join(home, '.gpu-run', 'machines', id, 'armed.json'), 'utf8'));

test('a machine whose provider has a timer, and which may switch itself off, has two protections', async () => {
  prepare({ deadline: 'native', endsIdle: false, switchesOff: true });
  const { machine, protection } = await up(fakeInput, context);
  expect(protection).toEqual([
    'fake ends it at its deadline',
    'the watchdog on the machine ends jobs shortly before its deadline, so that they can save their work; it switches the machine off after 15 idle minutes, and if fake is late; what is off still bills for its disk, until the next up, down or reap',
  ]);
  expect(armed(machine.id)).toMatchObject({
    onEnd: 'power-off',
    deletedByProvider: true,
    why: 'deadline',
    deadline: machine.deadline,
    idleSeconds: 900,
    stallSeconds: 3600,
  });
  expect((await up(fakeInput, context)).protection).toEqual(protection); // when it is used again, too
});

test('a watchdog whose order can not be read is set again by whatever connects; one that can be read stays as it is', async () => {
  prepare({ deadline: 'native', switchesOff: true });
  const { machine } = await up(fakeInput, context);
  const file = join(home, '.gpu-run', 'machines', machine.id, 'armed.json');
  const connectOnce = async () => {
    await using reached = await reachMachine(machine, context);
    expect(reached.machine.id).toBe(machine.id);
  };
  const moved = JSON.stringify({ ...armed(machine.id), deadline: machine.deadline + hour }); // by another computer
  writeFileSync(file, moved);
  await connectOnce();
  expect(readFileSync(file, 'utf8')).toBe(moved);
  await fake.clock.advance(hour);
  writeFileSync(file, '{"of":"another version"}');
  await connectOnce();
  expect(armed(machine.id)).toMatchObject({ onEnd: 'power-off', deadline: machine.deadline, remainingMs: 3 * hour, idleSeconds: 900 });
  expect(fake.reports.filter(({ type }) => type === 'note')).toEqual([]);
  const cannot = { isWatched: false, call: async () => Promise.reject(new GpuRunError('disk-full', 'The disk is full.')) } as unknown as RunnerClient;
  await rearmWatchdog(machine.id, cannot, context);
  expect(fake.reports.at(-1)).toMatchObject({ type: 'note', level: 'warn', text: expect.stringContaining('The disk is full.') });
  expect(context.ledger.get(machine.id)?.watchdog).toMatchObject({ endsJobs: false });
});

test('a budget that sets the deadline is told to the watchdog', async () => {
  prepare({});
  const { machine, protection } = await up({ ...fakeInput, budgetUsd: 2, stallSeconds: null }, context);
  expect(armed(machine.id)).toMatchObject({ onEnd: 'leave', why: 'budget', stallSeconds: null });
  expect(protection.at(-1)).toContain('so that they can save their work');
});

test("on one's own host jobs end, and the host stays", async () => {
  prepare({ deadline: 'watchdog', borrowed: true });
  expect((await up(fakeInput, context)).protection).toEqual([
    'the watchdog on the host ends jobs at the deadline; the host is your own and stays, idle or not',
  ]);
});

test('what nothing could end is refused before it is ordered, unless that is accepted', async () => {
  prepare({ deadline: 'none' });
  await expect(up(fakeInput, context)).rejects.toMatchObject({ code: 'usage', hints: expect.arrayContaining(['Add --yes to take that risk.']) });
  expect(provider.orders).toEqual([]);
  expect((await up({ ...fakeInput, unprotected: true }, context)).machine.state).toBe('ready');
});

test('a machine whose watchdog turns out to be unable to end it is ended again, unless that is accepted', async () => {
  prepare({ deadline: 'watchdog' }); // and it may not switch itself off
  await expect(up(fakeInput, context)).rejects.toMatchObject({ code: 'usage' });
  expect(provider.machines.map(({ goneAt }) => goneAt)).not.toContain(null);
  expect((await up({ ...fakeInput, unprotected: true }, context)).machine.state).toBe('ready');
});

test('extend moves provider, watchdog and ledger', async () => {
  const moved: number[] = [];
  prepare({}, { extend: async (_ref: MachineRef, deadline: number) => void moved.push(deadline) });
  const { machine } = await up(fakeInput, context);
  await fake.clock.advance(hour);
  const result = await extend({ name: 'cats', bySeconds: 3600 }, context);
  expect(result.from).toBe(machine.deadline);
  expect(result.machine.deadline).toBe(machine.deadline + hour);
  expect(moved).toEqual([machine.deadline + hour]);
  expect(armed(machine.id)).toMatchObject({ deadline: machine.deadline + hour, remainingMs: 4 * hour });
  expect(context.ledger.get(machine.id)?.deadline).toBe(machine.deadline + hour);
});

test('extend stays within the budget, and says how far that goes', async () => {
  prepare({}, { extend: async () => {} });
  const { machine } = await up({ ...fakeInput, budgetUsd: 9 }, context); // 4.5 hours; 4 are ordered
  const failure = await extend({ name: 'cats', bySeconds: 3600 }, context).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'budget', hints: expect.arrayContaining([expect.stringContaining('gpu-run extend cats --by 30m ')]) });
  expect(context.ledger.get(machine.id)?.deadline).toBe(machine.deadline);
  expect(armed(machine.id)).toMatchObject({ deadline: machine.deadline });
  const { machine: moved } = await extend({ name: 'cats', bySeconds: 1800 }, context);
  expect(armed(moved.id)).toMatchObject({ why: 'budget' });
});

test('extend where the provider can not: nothing is changed, and what holds is said', async () => {
  prepare({ switchesOff: true });
  const { machine } = await up(fakeInput, context);
  const ends = new Date(machine.deadline).toISOString().slice(0, 19);
  await expect(extend({ name: 'cats', bySeconds: 3600 }, context)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(ends) });
  expect(armed(machine.id)).toMatchObject({ deadline: machine.deadline });
  expect(context.ledger.get(machine.id)?.deadline).toBe(machine.deadline);
});

test('extend that fails half-way leaves the earlier deadline in the ledger, and again does the rest', async () => {
  prepare({ deadline: 'watchdog', switchesOff: true });
  const { machine } = await up(fakeInput, context);
  const broken = {
    ...context,
    connect: () => ({ ...pipeTransport(), connect: () => Promise.reject(new GpuRunError('connection', 'No answer.', { retry: 'same' })) }),
  };
  await expect(extend({ name: 'cats', bySeconds: 3600 }, broken)).rejects.toMatchObject({ code: 'connection' });
  expect(context.ledger.get(machine.id)?.deadline).toBe(machine.deadline);
  expect((await extend({ name: 'cats', bySeconds: 3600 }, context)).machine.deadline).toBe(machine.deadline + hour);
});

test('extend of a host whose deadline has passed counts from now', async () => {
  prepare({ deadline: 'watchdog', borrowed: true });
  await up(fakeInput, context);
  await fake.clock.jump(10 * hour);
  const { machine } = await extend({ name: 'cats', bySeconds: 3600 }, context);
  expect(machine.deadline).toBe(fake.clock.now() + hour);
  expect(armed(machine.id)).toMatchObject({ deadline: machine.deadline });
});

test('two extends at once, and an end: one is refused, all places know one deadline, the end waits', async () => {
  let moved = 0;
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  prepare(
    {},
    {
      extend: async (_ref: MachineRef, deadline: number) => {
        moved = deadline;
        asked.resolve();
        await answer.promise;
      },
    },
  );
  const { machine } = await up(fakeInput, context);
  const first = extend({ name: 'cats', bySeconds: 3 * 3600 }, context);
  await asked.promise;
  await expect(extend({ name: 'cats', bySeconds: 3600 }, context)).rejects.toMatchObject({ code: 'conflict' });
  const other = spawn('sleep', ['60']); // lives: another gpu-run
  try {
    const self = identifyProcess(other.pid ?? 0);
    if (self === null) throw new Error('no sleep');
    let ended = false;
    const ending = endClaimed(machine, 'down', { ...context, self }).then((result) => {
      ended = true;
      return result;
    });
    await fake.clock.advance(1_000);
    expect(ended).toBe(false);
    answer.resolve();
    await first;
    const places = [moved, armed(machine.id).deadline, context.ledger.get(machine.id)?.deadline];
    expect(places).toEqual(Array(3).fill(machine.deadline + 3 * hour));
    await fake.clock.advance(1_000);
    expect((await ending).machine.state).toBe('gone');
  } finally {
    other.kill();
  }
});
