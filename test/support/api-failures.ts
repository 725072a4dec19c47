/** `up` and `down` while Compute Engine fails from one call on, or at one call: what is believed and said of it, and what is left. */
import { expect } from 'vitest';
import { toGpuRunError } from '../../src/core/errors.ts';
import type { RunContext } from '../../src/workflows/context.ts';
import { down } from '../../src/workflows/down.ts';
import { reap } from '../../src/workflows/reap.ts';
import { up } from '../../src/workflows/up.ts';
import type { GceEmulator } from '../emulators/gce/gce-emulator.ts';
import { openRig, type UpRig } from '../unit/providers/gcp/up-rig.ts';
import { upInput } from './crash-order.ts';

export interface ApiFailure {
  readonly kind: keyof typeof failures;
  /** The first call that fails, counted from 1; calls for tokens are not counted. */
  readonly at: number;
  /** The one call, or all from there on until somebody repairs it. */
  readonly lasts: 'once' | 'on';
}

type Calls = { readonly calls: RegExp; readonly times?: number };

export const failures = {
  'cut off before its effect': (emulator: GceEmulator, calls: Calls) => emulator.faults.reset({ ...calls, when: 'before' }),
  'cut off after its effect': (emulator: GceEmulator, calls: Calls) => emulator.faults.reset({ ...calls, when: 'after' }),
  'hanging before its effect': (emulator: GceEmulator, calls: Calls) => emulator.faults.hang({ ...calls, when: 'before' }),
  'hanging after its effect': (emulator: GceEmulator, calls: Calls) => emulator.faults.hang({ ...calls, when: 'after' }),
  'answered with 503': (emulator: GceEmulator, calls: Calls) => emulator.faults.serverError(calls),
} as const;

export const failureKinds = Object.keys(failures) as (keyof typeof failures)[];

/** Calls of `up` and `down` without any failure, in their order. */
export async function callsWithoutFailure(): Promise<readonly string[]> {
  const rig = await openFailingRig();
  try {
    const context = honest(rig);
    await up(upInput(false), context);
    await down({ names: ['cats'], all: false }, context);
    return rig.emulator.calls.flatMap(({ id }) => (id === null || id === 'token' ? [] : [id]));
  } finally {
    await rig.close();
  }
}

/** Holds every moment to what must be. Returns the codes that `up` and `down` ended with; null: they came through. */
export async function liveThrough({ kind, at, lasts }: ApiFailure): Promise<readonly (string | null)[]> {
  const rig = await openFailingRig();
  try {
    const context = honest(rig);
    const rules = rig.emulator.firewalls();
    const calls = nthCall(at, lasts);
    const fault = failures[kind](rig.emulator, { calls: calls.pattern, ...(lasts === 'once' ? { times: 1 } : {}) });
    const codes = [await expectHonestEnd(rig, () => up(upInput(false), context))];
    if (codes[0] === null) codes.push(await expectHonestEnd(rig, () => down({ names: ['cats'], all: false }, context)));
    // How often an operation is looked up depends on time: the last calls may not have been needed, and so have not failed.
    if (lasts === 'once' || !calls.failed()) expect(codes).toEqual([null, null]);
    else expect(codes).not.toEqual([null, null]);
    fault.remove();
    expect(await reap({ dryRun: false }, context)).toMatchObject({ unreachable: [], leftovers: [] });
    const wanted = context.ledger.list({ live: true });
    expect(wanted.map(({ state }) => state)).toEqual(wanted.map(() => 'ready'));
    expect(rig.emulator.instances().map(({ name }) => name)).toEqual(wanted.map(({ id }) => id));
    await down({ names: [], all: true }, context);
    expect(rig.emulator.instances()).toEqual([]);
    expect(rig.emulator.disks()).toEqual([]);
    if (lasts === 'once') expect(rig.emulator.firewalls()).toEqual(rules);
    return codes;
  } finally {
    await rig.close();
  }
}

export function openFailingRig(): Promise<UpRig> {
  return openRig({ skipsBoot: true, allowSshRule: false });
}

/** Nothing is called gone that is not, at the very moment when it is written down; and it is written down before it exists. */
export function honest({ emulator, context }: UpRig): RunContext {
  const { ledger } = context;
  const exists = (id: string) => emulator.instances().some(({ name }) => name === id);
  return {
    ...context,
    ledger: {
      ...ledger,
      open: (intent) => {
        expect(emulator.instances().map(({ name }) => name)).toEqual([]); // never a second one beside the first
        return ledger.open(intent);
      },
      note: (id, fact) => {
        if (fact.fact === 'gone' || fact.fact === 'never-made') expect(exists(id), `${id} is called ${fact.fact}`).toBe(false);
        return ledger.note(id, fact);
      },
    },
  };
}

/** What may bill is in the ledger as such, and the error names the exact command. */
export async function expectHonestEnd({ emulator, context }: UpRig, work: () => Promise<unknown>): Promise<string | null> {
  const error = await work().then(
    () => null,
    (thrown: unknown) => toGpuRunError(thrown),
  );
  const live = context.ledger.list({ live: true });
  for (const { name, zone } of emulator.instances()) {
    expect(live.map(({ id }) => id)).toContain(name);
    if (error === null) continue;
    expect(error.code, error.message).toBe('still-billing');
    expect(error.hints.join('\n')).toContain(`gcloud compute instances delete ${name} --zone=${zone} --project=${emulator.project} --quiet`);
  }
  expect(error?.code, error?.message).not.toBe('internal');
  return error?.code ?? null;
}

function nthCall(at: number, lasts: ApiFailure['lasts']): { readonly pattern: RegExp; failed(): boolean } {
  let seen = 0;
  const pattern = /^/;
  pattern.test = () => {
    seen++;
    return lasts === 'once' ? seen === at : seen >= at;
  };
  return { pattern, failed: () => seen >= at };
}
