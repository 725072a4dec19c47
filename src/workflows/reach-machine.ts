/** From a machine in the ledger to an open runner on it: connect, install what is missing, say hello. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError } from '../core/errors.ts';
import type { MachineRef } from '../core/machine.ts';
import { formatUsd } from '../core/money.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { openRunner, type RunnerClient } from '../runner/client.ts';
import { type InstalledRunner, installRunner } from '../runner/install.ts';
import type { Transport } from '../transport/transport.ts';
import { isBought } from './budget-deadline.ts';
import type { RunContext } from './context.ts';
import { deadlineLeadMs, downReason, endReasonOf, isOver, saysDeadline, saysPreempted } from './end-reason.ts';
import { rearmWatchdog } from './protection.ts';
import { settleGone } from './settle-gone.ts';

export interface ReachedMachine extends AsyncDisposable {
  readonly machine: MachineEntry;
  readonly transport: Transport;
  readonly runner: RunnerClient;
  /** Absolute path of the machine's folder on it. */
  readonly root: string;
}

/** Connects only. @throws GpuRunError `conflict` while the machine isn't up yet, else what the transport says. */
export async function connectMachine(machine: MachineEntry, context: RunContext, signal: AbortSignal = context.signal): Promise<Transport> {
  if (!hasKey(machine, context)) throw noKey(machine, context.homeLabel ?? null);
  if (machine.access === null) {
    throw new GpuRunError('conflict', `The machine '${machine.name}' isn't ready yet (${machine.state}).`, {
      hints: [`gpu-run up ${machine.name}   waits for it and makes it ready`],
    });
  }
  const transport = context.connect(machine);
  try {
    await transport.connect(signal);
    return transport;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/** The key of a machine that was found by its label is where it was made, and perhaps nowhere any more. */
export function hasKey({ id, adopted, access }: MachineEntry, { home }: Pick<RunContext, 'home'>): boolean {
  return adopted === undefined || access?.kind === 'openssh' || existsSync(join(home.keys, id));
}

function noKey({ name, adopted }: MachineEntry, here: string | null): GpuRunError {
  const home = adopted?.home ?? null;
  const key = home !== null && home === here ? 'was lost with the state folder' : `is ${home === null ? 'where it was made' : `on ${home}, which made it`}`;
  return new GpuRunError('not-allowed', `'${name}' was found again by its label; its SSH key ${key}: nobody can log in from here.`, {
    hints: [`gpu-run down ${name}   ends it`, 'gpu-run up OTHER-NAME   makes another one'],
  });
}

/** Connects and opens the runner. Dispose it: that closes both. */
export async function reachMachine(machine: MachineEntry, context: RunContext, signal: AbortSignal = context.signal): Promise<ReachedMachine> {
  const transport = await connectMachine(machine, context, signal);
  try {
    const installed = transport.standingRunner?.() ?? (await install(transport, machine, context, signal));
    const runner = await openRunner(transport, installed, { signal });
    await rearmWatchdog(machine.id, runner, context);
    return {
      machine,
      transport,
      runner,
      root: installed.root,
      [Symbol.asyncDispose]: async () => {
        await runner.close();
        await transport.close();
      },
    };
  } catch (error) {
    await transport.close();
    throw error;
  }
}

async function install(transport: Transport, { id }: MachineEntry, { runner, reporter }: RunContext, signal: AbortSignal): Promise<InstalledRunner> {
  const onProgress = (done: number, total: number) => reporter.report({ type: 'progress', phase: 'runner', done, total, unit: 'bytes' });
  return await installRunner(transport, runner, id, { signal, onProgress });
}

/** Like `reachMachine`, but a machine that can't be reached because it no longer exists is noted as gone. @throws as `goneError` */
export async function reachOrLose(machine: MachineEntry, context: RunContext, signal: AbortSignal = context.signal): Promise<ReachedMachine> {
  const over = new AbortController();
  const connected = new AbortController();
  abortWhenOver(machine, over, connected.signal, context).catch(() => {}); // only a look
  try {
    return await reachMachine(machine, context, AbortSignal.any([signal, over.signal]));
  } catch (error) {
    // Another gpu-run may have ended it, and thrown its key away.
    const known = context.ledger.get(machine.id);
    if (known?.state === 'gone' || known?.state === 'ending') throw goneError(machine, known.endReason, context, error);
    const cutOff = over.signal.aborted && !signal.aborted;
    if (!cutOff && (!(error instanceof GpuRunError) || error.code !== 'connection')) throw error;
    if (machine.ref === null) throw error;
    const failure = cutOff ? new GpuRunError('connection', `'${machine.name}' does not answer.`, { retry: 'same', cause: error }) : error;
    return await stillThere(machine, machine.ref, failure, context, signal);
  } finally {
    connected.abort();
  }
}

/** It did not answer: its provider says whether it is gone, or lets us in from where we are now, perhaps another network than before. */
async function stillThere(machine: MachineEntry, ref: MachineRef, failure: unknown, context: RunContext, signal: AbortSignal): Promise<ReachedMachine> {
  const provider = await context.providers.get(machine.provider);
  const status = await provider.describe(ref, signal);
  if (!isOver(status)) {
    if ((await provider.letIn?.(ref, signal)) === true) return await reachMachine(machine, context, signal);
    throw failure;
  }
  const reason = endReasonOf(status);
  if ((await settleGone(machine, reason, context)) === null) throw failure;
  throw goneError(machine, reason, context, failure);
}

const firstLookMs = 2_000;
const lookAgainMs = 5_000;

/** A machine that is gone answers nobody, and to wait for it takes long: so the provider is asked meanwhile. */
async function abortWhenOver(machine: MachineEntry, over: AbortController, connected: AbortSignal, context: RunContext): Promise<void> {
  for (let pause = firstLookMs; ; pause = lookAgainMs) {
    await context.clock.sleep(pause, connected);
    if (await isMachineOver(machine, context, connected)) return over.abort();
  }
}

/** One look at the provider; settles nothing. */
export async function isMachineOver(machine: MachineEntry, context: RunContext, signal: AbortSignal = context.signal): Promise<boolean> {
  if (machine.ref === null) return false;
  const provider = await context.providers.get(machine.provider);
  return isOver(await provider.describe(machine.ref, signal));
}

/** `preempted`; `budget` or `deadline` when its time was over; else `lost`. `reason`: as `endReasonOf` puts it. */
export function goneError(seen: MachineEntry, reason: string | null, context: Pick<RunContext, 'clock' | 'ledger'>, cause?: unknown): GpuRunError {
  const machine = context.ledger.get(seen.id) ?? seen; // its deadline may have been moved since
  const hints = [`gpu-run up ${machine.name}   makes a new one`];
  if (reason === downReason) return new GpuRunError('lost', `The machine '${machine.name}' was ended by \`gpu-run down\`.`, { cause, hints });
  if (saysPreempted(reason)) {
    const spared = machine.offer.spot ? ['Spot machines cost less because of that; one without --spot stays.'] : [];
    return new GpuRunError('preempted', `${machine.provider} took the machine '${machine.name}' back: it was preempted.`, {
      cause,
      retry: 'elsewhere',
      hints: [...hints, ...spared],
    });
  }
  if (context.clock.now() < machine.deadline - (machine.watchdog?.powersOff === true ? deadlineLeadMs : 0) && !saysDeadline(reason)) {
    return new GpuRunError('lost', `The machine '${machine.name}' no longer exists: ${reason ?? 'it ended by itself'}.`, { cause, hints });
  }
  const bought = isBought(machine);
  const what = bought ? `the budget of ${formatUsd(machine.budgetUsd ?? 0)} is used up` : 'its deadline was reached';
  return new GpuRunError(bought ? 'budget' : 'deadline', `The machine '${machine.name}' has ended: ${what}.`, {
    cause,
    hints: [...hints, bought ? 'Give more with --budget.' : 'Give more time with --max-time.'],
  });
}

const goneCodes: ReadonlySet<string> = new Set<GpuRunError['code']>(['lost', 'preempted', 'deadline', 'budget']);

/** The machine is gone, for whichever reason. */
export function isGone(error: unknown): boolean {
  return error instanceof GpuRunError && goneCodes.has(error.code);
}
