/** One offer becomes one ready machine, or nothing at all: what was ordered and failed is ended before this returns. */

import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import { labelKeys } from '../core/machine.ts';
import type { Offer } from '../core/offer.ts';
import { newMachineId } from '../core/run-id.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { generateKeyPair } from '../transport/host-keys.ts';
import type { RunContext } from './context.ts';
import { endMachine } from './end-machine.ts';
import { reachMachine } from './reach-machine.ts';
import { writeSshConfig } from './ssh-config.ts';
import type { UpInput } from './up-input.ts';

/** From the order until SSH answers. */
const bootWithinMs = 10 * 60_000;

export interface LaunchInput extends UpInput {
  readonly offer: Offer;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
}

/**
 * The intent is on disk before the provider hears of it; the release stands in the same `try` as the acquisition.
 * null: another gpu-run opened the same name first.
 */
export async function launchOffer(input: LaunchInput, context: RunContext): Promise<MachineEntry | null> {
  const { ledger, self, reporter } = context;
  const id = newMachineId(input.name);
  const labels = {
    [labelKeys.owner]: context.owner,
    [labelKeys.machine]: id,
    [labelKeys.name]: input.name,
    [labelKeys.expires]: String(Math.floor(input.deadline / 1000)),
  };
  const requestId = randomUUID();
  const { name, template, deadline, idleSeconds, budgetUsd, forOneJob, offer, need } = input;
  const { user, branch, owner } = context;
  const { opened } = ledger.open({
    id,
    name,
    provider: offer.provider,
    owner,
    labels,
    requestId,
    offer,
    template,
    deadline,
    idleSeconds,
    budgetUsd,
    forOneJob,
    user,
    branch,
    holder: self,
  });
  if (!opened) return null;
  try {
    context.signal.throwIfAborted();
    reporter.report({ type: 'phase', phase: 'launch', status: 'begin', text: `Starting '${name}' at ${offer.provider} (${offer.type})` });
    const provider = await context.providers.get(offer.provider);
    const sshPublicKey = writeKey(id, context);
    const ref = await provider.launch({ id, name, labels, offer, need, requestId, deadline, idleSeconds, sshPublicKey }, context.signal);
    const launched = ledger.note(id, { fact: 'launched', ref });
    const machine = await makeReady(launched, input, context);
    ledger.release(id, self);
    reporter.report({ type: 'phase', phase: 'launch', status: 'end', text: `'${name}' is ready` });
    return machine;
  } catch (error) {
    await unwind(id, error, context);
    throw toGpuRunError(error);
  }
}

async function unwind(id: string, cause: unknown, context: RunContext): Promise<void> {
  const entry = context.ledger.get(id);
  if (entry === null) return;
  try {
    await endMachine(entry, `start failed: ${toGpuRunError(cause).message}`, context);
  } finally {
    context.ledger.release(id, context.self);
  }
}

/** Our key for this machine alone. Returns the public half. */
function writeKey(id: string, context: RunContext): string {
  const pair = generateKeyPair();
  mkdirSync(context.home.keys, { recursive: true, mode: 0o700 });
  writeFileSync(join(context.home.keys, id), pair.privateKey, { mode: 0o600 });
  writeFileSync(join(context.home.keys, `${id}.pub`), `${pair.publicKey} ${id}\n`, { mode: 0o600 });
  return pair.publicKey;
}

async function makeReady(launched: MachineEntry, input: LaunchInput, context: RunContext): Promise<MachineEntry> {
  const machine = await waitForAccess(launched, context);
  context.reporter.report({ type: 'phase', phase: 'connect', status: 'begin', text: `Connecting to '${machine.name}'` });
  await using reached = await reachMachine(machine, context);
  if (input.need.gpu !== undefined) {
    context.reporter.report({ type: 'phase', phase: 'preflight', status: 'begin', text: 'Checking the GPUs' });
    const { gpus, problem } = await reached.runner.call('gpus', {});
    if (gpus.length < input.need.gpu.count) {
      throw new GpuRunError('unfit', `${gpus.length} of ${input.need.gpu.count} GPUs answer on '${machine.name}'${problem === null ? '' : `: ${problem}`}.`, {
        retry: 'elsewhere',
      });
    }
  }
  if (machine.access === null) throw new GpuRunError('internal', 'a machine without an address was reached');
  const ready = context.ledger.note(machine.id, { fact: 'ready', access: machine.access });
  writeSshConfig(context);
  return ready;
}

async function waitForAccess(machine: MachineEntry, context: RunContext): Promise<MachineEntry> {
  if (machine.ref === null) throw new GpuRunError('internal', 'a launched machine has no ref');
  const provider = await context.providers.get(machine.provider);
  const until = context.clock.now() + bootWithinMs;
  for (let pause = 25; ; pause = Math.min(pause * 2, 3_000)) {
    const status = await provider.describe(machine.ref, context.signal);
    if (status.state === 'running' && status.access !== null) return context.ledger.note(machine.id, { fact: 'seen', access: status.access });
    if (status.state === 'gone' || status.state === 'ending') {
      throw new GpuRunError('lost', `'${machine.name}' ended while it was starting${status.detail === null ? '' : `: ${status.detail}`}.`, {
        retry: 'elsewhere',
      });
    }
    if (context.clock.now() > until) throw new GpuRunError('unfit', `'${machine.name}' did not start within 10 minutes.`, { retry: 'elsewhere' });
    await context.clock.sleep(pause, context.signal);
  }
}
