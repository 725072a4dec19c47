/** gpu-runs that die at a step, each in a world of its own, and what the next one makes of what they leave behind. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import type { MachineEntry } from '../../src/ledger/ledger.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite-ledger.ts';
import { createRegistry } from '../../src/providers/registry.ts';
import type { RunContext } from '../../src/workflows/context.ts';
import { down } from '../../src/workflows/down.ts';
import { extend } from '../../src/workflows/extend.ts';
import { reachMachine } from '../../src/workflows/reach-machine.ts';
import { reap } from '../../src/workflows/reap.ts';
import { recover } from '../../src/workflows/recover.ts';
import { train } from '../../src/workflows/train.ts';
import { up } from '../../src/workflows/up.ts';
import { openRig, type UpRig } from '../unit/providers/gcp/up-rig.ts';
import { type CrashOrder, extendable, extension, trainInput, upInput } from './crash-order.ts';

export type CrashCommand = CrashOrder['command'];

export interface Crash {
  readonly command: CrashCommand;
  /** A step, counted from 1 or by its name; null: the whole command, to its end. */
  readonly at: number | string | null;
  /** Who clears up: the next command that changes something, or `reap`. */
  readonly by: 'next' | 'reap';
}

export interface Crashed {
  /** Up to where it came. */
  readonly steps: readonly string[];
  /** False: it had fewer steps this time, and came to its end. */
  readonly died: boolean;
}

/** Runs one command to its step, and holds what is there then, and after the clearing up, to what must be. */
export async function crash({ command, at, by }: Crash): Promise<Crashed> {
  const rig = await openRig({ allowSshRule: false, shutdownGraceMs: 0 });
  try {
    const rules = rig.emulator.firewalls();
    if (command === 'down') await train({ ...trainInput('sleep 1000', emptyProject(rig)), detach: true }, rig.context, () => {});
    if (command === 'extend') await up(upInput(false), rig.context);
    const [before] = rig.context.ledger.list({ live: true });
    const crashed = await runUntil(command, at, rig);
    expectAllKnown(rig);
    await expectFoundWithoutLedger(rig);
    if (by === 'next') await recover(rig.context);
    else expect(await reap({ dryRun: false }, rig.context)).toMatchObject({ unreachable: [], leftovers: [] });
    expectOnlyWanted(rig);
    // Life goes on, under the same name.
    if (command === 'extend') await expectExtended(rig, before?.deadline ?? 0);
    else if (by === 'next' && command === 'train') {
      const { job, machineDown } = await train(trainInput('true', emptyProject(rig)), rig.context, () => {});
      expect([job.end?.code, machineDown]).toEqual([0, true]);
    } else if (by === 'next') {
      const { machine } = await up(upInput(false), rig.context);
      expect(rig.emulator.instances().map(({ name }) => name)).toEqual([machine.id]);
      expectOnlyWanted(rig);
    }
    await down({ names: [], all: true }, rig.context);
    expectOnlyWanted(rig);
    expect(rig.emulator.instances()).toEqual([]);
    expect(rig.emulator.firewalls()).toEqual(rules);
    return crashed;
  } finally {
    await rig.close();
  }
}

async function runUntil(command: CrashCommand, killAt: CrashOrder['killAt'], rig: UpRig): Promise<Crashed> {
  const { context, emulator } = rig;
  const { root } = context.home;
  const order: CrashOrder = { command, root, project: emptyProject(rig), env: emulator.env, runner: context.runner.file, killAt };
  const env = { ...process.env, ...emulator.env, NODE_OPTIONS: '', NODE_COMPILE_CACHE: join(root, '..', 'compile-cache') };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crashing-run.ts'), JSON.stringify(order)], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise<{ code: number | null; signal: string | null }>((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
  const [said, wrong, { code, signal }] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  const steps = said.split('\n').slice(0, -1);
  if (signal !== 'SIGKILL') expect(code, `${command} on its own: ${wrong}`).toBe(0);
  return { steps, died: signal === 'SIGKILL' };
}

function emptyProject({ context }: UpRig): string {
  return mkdtempSync(join(context.home.root, '..', 'project-'));
}

/** Whatever exists is written down as such, ends by itself, and is there once. */
function expectAllKnown({ emulator, context }: UpRig): void {
  const live = context.ledger.list({ live: true });
  expect(live.length).toBeLessThanOrEqual(1);
  const there = emulator.instances();
  expect(there.length).toBeLessThanOrEqual(1);
  for (const { name, terminatesAt } of there) {
    const entry = live.find(({ id }) => id === name);
    expect(entry, `${name} is in the ledger`).toBeDefined();
    expect(terminatesAt).toBeLessThan((entry?.deadline ?? 0) + 60_000);
  }
  expect(emulator.disks().length).toBeLessThanOrEqual(there.length);
}

/** From another laptop, or with the home folder wiped. Changes nothing. */
async function expectFoundWithoutLedger({ emulator, context }: UpRig): Promise<void> {
  const ledger = openSqliteLedger(join(mkdtempSync(join(context.home.root, '..', 'wiped-')), 'ledger.sqlite'), context.clock);
  try {
    const names = () => emulator.instances().map(({ name }) => name);
    const before = names();
    const { found, ended } = await reap({ dryRun: true }, { ...context, ledger });
    expect(ended).toEqual(found);
    const ids = found.map(({ id }) => id).filter((id) => !emulator.firewalls().includes(id)); // a rule may have outlived its machine
    expect(before).toEqual(expect.arrayContaining(ids));
    expect(ids).toEqual(expect.arrayContaining(names())); // one that was being deleted may have gone meanwhile
  } finally {
    ledger.close();
  }
}

/** The ledger never names a later deadline than the watchdog keeps, and the same call does what is missing. */
async function expectExtended({ context, provider }: UpRig, before: number): Promise<void> {
  const providers = createRegistry({ gcp: async () => extendable(provider) });
  const machine = context.ledger.list({ live: true })[0];
  if (machine === undefined) throw new Error('the machine is gone');
  const later = before + extension.bySeconds * 1000;
  expect([before, later]).toContain(machine.deadline);
  expect(await watchdogsDeadline(machine, context)).toBeGreaterThanOrEqual(machine.deadline);
  if (machine.deadline === later) return;
  expect((await extend(extension, { ...context, providers })).machine.deadline).toBe(later);
  expect(await watchdogsDeadline(machine, context)).toBe(later);
}

async function watchdogsDeadline(machine: MachineEntry, context: RunContext): Promise<number> {
  await using reached = await reachMachine(machine, context);
  const { stdout } = reached.transport.exec(['cat', `${reached.root}/armed.json`]);
  return (JSON.parse(await text(stdout)) as { readonly deadline: number }).deadline;
}

/** What the ledger wants is there and ready, and nothing else is; of what is gone no job runs, and no key is kept. */
function expectOnlyWanted({ emulator, context }: UpRig): void {
  const live = context.ledger.list({ live: true });
  const ids = live.map(({ id }) => id);
  expect(live.map(({ state }) => state)).toEqual(live.map(() => 'ready'));
  expect(emulator.instances().map(({ name, status }) => [name, status])).toEqual(ids.map((id) => [id, 'RUNNING']));
  expect(emulator.disks()).toHaveLength(ids.length);
  const lost = context.ledger.listJobs().filter(({ machineId, state }) => state !== 'ended' && !ids.includes(machineId));
  expect(lost, 'jobs that go on without a machine').toEqual([]);
  const keys = (existsSync(context.home.keys) ? readdirSync(context.home.keys) : []).filter((file) => !ids.some((id) => file.startsWith(id)));
  expect(keys, 'keys of machines that are gone').toEqual([]);
}

/** All steps of a command, each twice where it matters: after one step and before the next the world is the same, so each clears it up its own way. */
export function crashesOf(command: CrashCommand, steps: readonly string[]): readonly Crash[] {
  return steps.map((step, index) => ({ command, at: index + 1, by: step.startsWith('after') ? 'next' : 'reap' }));
}

/** Side by side, as many as there are cores. `failures`: what went wrong, by step. */
export async function runCrashes(crashes: readonly Crash[], steps: readonly string[] = []): Promise<{ died: number; failures: string[] }> {
  const left = [...crashes];
  const failures: string[] = [];
  let died = 0;
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const step = typeof next.at === 'number' ? `step ${next.at} (${steps[next.at - 1]})` : next.at;
      try {
        if ((await crash(next)).died) died++;
      } catch (error) {
        failures.push(`${next.command} killed at ${step}, cleared up by ${next.by}: ${(error as Error).message}`);
      }
    }
  };
  await Promise.all([work(), work()]);
  return { died, failures };
}
