/** One offer becomes one ready machine, or nothing at all: what was ordered and failed is ended before this returns. */

import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { billingOf } from '../core/billing.ts';
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import { labelKeys, type MachineRef } from '../core/machine.ts';
import type { Offer } from '../core/offer.ts';
import { newMachineId } from '../core/run-id.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { LaunchPlan, Provider } from '../providers/provider.ts';
import { generateKeyPair, type KeyPair } from '../transport/host-keys.ts';
import { backOff } from './back-off.ts';
import type { RunContext } from './context.ts';
import { endMachine } from './end-machine.ts';
import { makeReady } from './make-ready.ts';
import { refuseUnprotected } from './protection.ts';
import type { UpInput } from './up-input.ts';

export interface LaunchInput extends UpInput {
  readonly offer: Offer;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** What the run has cost until now, US dollars. */
  readonly spentBeforeUsd: number;
}

export type LaunchOutcome =
  | { readonly machine: MachineEntry }
  /** Another gpu-run opened the same name first. */
  | { readonly machine: null; readonly failure: null }
  /** `existed`: it was made, and has been ended again, because it did not get ready. */
  | { readonly machine: null; readonly failure: GpuRunError; readonly existed: boolean };

/**
 * The intent is on disk before the provider hears of it; the release stands in the same `try` as the acquisition.
 * @throws GpuRunError `still-billing` when what was ordered could not be ended again
 */
export async function launchOffer(input: LaunchInput, context: RunContext): Promise<LaunchOutcome> {
  const { ledger, self, reporter, user, branch, commit = null, owner } = context;
  const { name, template, deadline, idleSeconds, budgetUsd, forOneJob, offer, need } = input;
  const provider = await context.providers.get(offer.provider);
  refuseUnprotected(provider, input.unprotected === true);
  const keys = generateKeyPair();
  const plan = planFor(input, keys, context);
  const { id, labels, requestId } = plan;
  const ref = provider.expect?.(plan) ?? null;
  const intent = {
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
    ...(input.spentBeforeUsd === 0 ? {} : { spentBeforeUsd: input.spentBeforeUsd }),
    ...(input.stallSeconds === undefined ? {} : { stallSeconds: input.stallSeconds }),
    forOneJob,
    user,
    branch,
    commit,
    billing: billingOf(provider.traits),
    ref,
  };
  if (!ledger.open({ ...intent, holder: self }).opened) return { machine: null, failure: null };
  let launched: MachineEntry | null = null;
  const doubt: Doubt = { leftBehind: false };
  try {
    context.signal.throwIfAborted();
    reporter.report({ type: 'phase', phase: 'launch', status: 'begin', text: `Starting '${name}' at ${placeOf(offer)} (${offer.type})` });
    launched = ledger.note(id, { fact: 'launched', ref: await order(plan, provider, doubt, context) });
    writeKeys(id, keys, context);
    const machine = await makeReady(launched, need, context, { unprotected: input.unprotected === true });
    context.signal.throwIfAborted(); // said to be stopping and clearing up
    ledger.release(id, self);
    reporter.report({ type: 'phase', phase: 'launch', status: 'end', text: `'${name}' is ready` });
    return { machine };
  } catch (error) {
    const failure = toGpuRunError(error);
    const existed = launched !== null;
    await unwind(id, failure, existed || doubt.leftBehind || failure.leftBehind !== 'nothing', context);
    return { machine: null, failure: failure.code === 'still-billing' ? settled(failure) : failure, existed };
  }
}

/** `gcp us-central1-a`, `local`. */
export function placeOf({ provider, region, zone }: Pick<Offer, 'provider' | 'region' | 'zone'>): string {
  const place = zone ?? region;
  return place === null ? provider : `${provider} ${place}`;
}

function planFor({ name, offer, need, deadline, idleSeconds }: LaunchInput, keys: KeyPair, context: RunContext): LaunchPlan {
  const id = newMachineId(name);
  const labels = {
    [labelKeys.owner]: context.owner,
    [labelKeys.machine]: id,
    [labelKeys.name]: name,
    [labelKeys.expires]: String(Math.floor(deadline / 1000)),
    ...(context.homeLabel === undefined ? {} : { [labelKeys.home]: context.homeLabel }),
  };
  return { id, name, labels, offer, need, requestId: randomUUID(), deadline, idleSeconds, sshPublicKey: keys.publicKey };
}

interface Doubt {
  /** A call has failed in a way that may have left something behind: later ones that were refused for certain change nothing about it. */
  leftBehind: boolean;
}

/** `retry: 'same'`: the same order again, in the same place, where that can't make two machines of it. */
async function order(plan: LaunchPlan, provider: Provider, doubt: Doubt, context: RunContext): Promise<MachineRef> {
  const call = async () => {
    try {
      return await provider.launch(plan, context.signal);
    } catch (error) {
      if (toGpuRunError(error).leftBehind !== 'nothing') doubt.leftBehind = true;
      throw error;
    }
  };
  return await backOff(call, {
    again: (failure) => provider.traits.idempotentLaunch || failure.leftBehind === 'nothing',
    who: placeOf(plan.offer),
    context,
  });
}

/** An order that was refused for certain has nothing to end: that costs no further call. */
async function unwind(id: string, failure: GpuRunError, mayExist: boolean, context: RunContext): Promise<void> {
  const { ledger, self } = context;
  const entry = ledger.get(id);
  if (entry === null) return;
  const reason = `start failed: ${failure.message}`;
  if (!mayExist) {
    ledger.note(id, { fact: 'never-made', code: failure.code, reason });
    return;
  }
  try {
    await endMachine(entry, reason, context);
  } finally {
    ledger.release(id, self);
  }
}

/** The provider could not find out what became of the order; the unwinding has. */
function settled(failure: GpuRunError): GpuRunError {
  return new GpuRunError('connection', `${failure.message} It has been made sure since that nothing of it exists.`, { cause: failure, retry: 'elsewhere' });
}

/** Our key for this machine alone. Until it is written nobody but this process could use the machine, and if it dies, the machine is ended. */
function writeKeys(id: string, pair: KeyPair, { home }: RunContext): void {
  mkdirSync(home.keys, { recursive: true, mode: 0o700 });
  writeFileSync(join(home.keys, id), pair.privateKey, { mode: 0o600 });
  writeFileSync(join(home.keys, `${id}.pub`), `${pair.publicKey} ${id}\n`, { mode: 0o600 });
}
