/** One offer becomes one ready machine, or nothing at all: what was ordered and failed is ended before this returns. */

import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toGpuRunError } from '../core/errors.ts';
import { labelKeys } from '../core/machine.ts';
import type { Offer } from '../core/offer.ts';
import { newMachineId } from '../core/run-id.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { generateKeyPair } from '../transport/host-keys.ts';
import type { RunContext } from './context.ts';
import { endMachine } from './end-machine.ts';
import { makeReady } from './make-ready.ts';
import type { UpInput } from './up-input.ts';

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
    const machine = await makeReady(launched, need, context);
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
