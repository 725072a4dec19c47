/** `down`: ends machines and what belongs to them; returns when the providers say gone. */
import { GpuRunError } from '../core/errors.ts';
import type { MachineEntry, MachineEntryState } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { wholeCost } from './cost-egress.ts';
import { type EndedMachine, endMachine } from './end-machine.ts';
import { downReason } from './end-reason.ts';
import { recover } from './recover.ts';

export interface DownInput {
  readonly names: readonly string[];
  /** Every live machine; `names` is empty then. */
  readonly all: boolean;
}

export interface DownResult {
  readonly machines: readonly { readonly name: string; readonly id: string; readonly state: 'gone' | 'ending'; readonly costUsd: number }[];
  /** What may still bill, with the command that ends it. */
  readonly leftovers: readonly string[];
}

/**
 * Machines are ended side by side; one that fails does not keep the others from ending.
 * @throws GpuRunError `not-found`, `conflict` (another gpu-run is working on it), `still-billing`
 */
export async function down(input: DownInput, context: RunContext): Promise<DownResult> {
  const entries = input.all ? context.ledger.list({ live: true }) : [...new Set(input.names)].flatMap((name) => liveOrGone(name, context));
  const [outcomes] = await Promise.all([
    Promise.allSettled(entries.map((entry) => saveAndEnd(entry, downReason, context))),
    recover(context, new Set(entries.map(({ id }) => id))),
  ]);
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  if (failures.length > 0) throw worst(failures);
  const ended = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  return {
    machines: ended.map(({ machine }) => ({
      name: machine.name,
      id: machine.id,
      state: 'gone',
      costUsd: wholeCost(machine, context.clock.now()),
    })),
    leftovers: ended.flatMap(({ leftovers }) => leftovers),
  };
}

/** What its jobs have printed is copied first, as far as that can be had. Otherwise like `endClaimed`. */
export async function saveAndEnd(entry: MachineEntry, reason: string, context: RunContext, whyStay?: () => string | null): Promise<EndedMachine> {
  const isEnding = entry.state === 'ending'; // whoever began with it has seen to its logs
  if (!isEnding && context.ledger.listJobs({ machineId: entry.id }).length > 0) await (await import('./save-logs.ts')).saveLogs(entry, context);
  return endClaimed(entry, reason, context, whyStay);
}

/**
 * How long somebody else's work on a machine is waited for, by the machine's state. Whoever holds one that is ready moves its deadline:
 * that is soon done, and must not keep it from being ended. One that is ending is gone soon, or was given up and can be tried again.
 */
const patienceMs: Readonly<Partial<Record<MachineEntryState, number>>> = { ready: 30_000, ending: 360_000 };
const lookAgainMs = 200;

/** Takes the claim, ends the machine, gives the claim back. `whyStay`: a last look, under the claim; null: it goes. */
export async function endClaimed(entry: MachineEntry, reason: string, context: RunContext, whyStay?: () => string | null): Promise<EndedMachine> {
  const { ledger, self, clock } = context;
  const since = clock.now();
  while (!ledger.claim(entry.id, self)) {
    const now = ledger.get(entry.id);
    if (now === null || now.state === 'gone') return { machine: now ?? entry, leftovers: [] };
    if (clock.now() - since < (patienceMs[now.state] ?? 0)) {
      await clock.sleep(lookAgainMs, context.signal);
      continue;
    }
    throw new GpuRunError('conflict', `Another gpu-run (process ${now.holder?.pid}) is working on '${entry.name}' (${now.state}).`, {
      hints: ['Wait for it or stop it with Ctrl-C; then try again.'],
    });
  }
  try {
    const now = ledger.get(entry.id) ?? entry;
    const stays = now.state === 'ready' ? (whyStay?.() ?? null) : null;
    if (stays !== null) return { machine: now, leftovers: [], stays };
    return now.state === 'gone' ? { machine: now, leftovers: [] } : await endMachine(now, reason, context);
  } finally {
    ledger.release(entry.id, self);
  }
}

/** A name that is known but not live has nothing to end; an unknown one is a mistake. */
function liveOrGone(name: string, context: RunContext): MachineEntry[] {
  const live = context.ledger.list({ name, live: true });
  if (live.length > 0 || context.ledger.list({ name }).length > 0) return live;
  throw new GpuRunError('not-found', `There is no machine named '${name}'.`, {
    hints: ['gpu-run status   lists what is up', 'gpu-run status --refresh   also finds what this computer has forgotten'],
  });
}

function worst(failures: readonly unknown[]): unknown {
  return failures.find((failure) => failure instanceof GpuRunError && failure.code === 'still-billing') ?? failures[0];
}
