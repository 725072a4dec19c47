/** A machine that its provider calls gone: looked at once more, then ended all the same, so that nothing of it is left anywhere. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { MachineRef, MachineStatus } from '../core/machine.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { Provider } from '../providers/provider.ts';
import type { RunContext } from './context.ts';
import { isOver } from './end-reason.ts';
import { closeJobs } from './keep-job.ts';
import { writeSshConfig } from './ssh-config.ts';

/** A provider that says "ending" gets this long until it must say "gone". */
const goneWithinMs = 5 * 60_000;
/** A machine that goes on as if nobody had ended it is ended again after so long. */
const orderAgainMs = 30_000;
/** Lists and looks of clouds flap: before one "gone" is believed, milliseconds. */
export const secondLookMs = 300;

/** `reason`: as `endReasonOf` puts it. The entry as gone; null when a second look shows that the machine is there. @throws GpuRunError what `terminate` throws */
export async function settleGone(machine: MachineEntry, reason: string, context: RunContext): Promise<MachineEntry | null> {
  const provider = await context.providers.get(machine.provider);
  let ended: Ended = { leftovers: [], endedAt: null };
  if (machine.ref !== null && !provider.traits.borrowed) {
    await context.clock.sleep(secondLookMs);
    const look = await provider.describe(machine.ref);
    if (!isOver(look)) return null;
    const { leftovers, endedAt } = await terminateAndWait(machine.ref, provider, context); // a no-op when it is gone; else it was no ending by itself
    ended = { leftovers, endedAt: look.endedAt ?? endedAt };
  }
  closeJobs(machine, reason, context);
  const entry = noteGone(machine, reason, ended, context);
  forgetKeys(machine, context);
  return entry;
}

/** What ended long before anybody looked is booked to its end, and not to the look. */
export function noteGone(machine: MachineEntry, reason: string, { leftovers, endedAt }: Ended, { ledger, clock }: Pick<RunContext, 'ledger' | 'clock'>) {
  const { deadline, createdAt, asOf, access } = ledger.get(machine.id) ?? machine; // its deadline may have been moved meanwhile
  // What was seen alive after its deadline has outlived it, and bills until now.
  const outlives = access?.kind === 'openssh' || asOf > deadline;
  const last = Math.min(clock.now(), outlives ? Number.POSITIVE_INFINITY : Math.max(deadline, createdAt));
  // The provider's clock may be off: it counts only between the last time that the machine was seen and now.
  return ledger.note(machine.id, { fact: 'gone', reason, at: Math.min(Math.max(endedAt ?? last, asOf), last), leftovers });
}

export interface Ended {
  /** What may still bill or exist, with the command to end it. */
  readonly leftovers: readonly string[];
  /** As in `MachineStatus`; null: its provider does not tell, or was not asked. */
  readonly endedAt: number | null;
}

/** @throws GpuRunError `still-billing` when it isn't gone in time */
export async function terminateAndWait(ref: MachineRef, provider: Provider, context: RunContext): Promise<Ended> {
  const { clock } = context;
  const until = clock.now() + goneWithinMs;
  const termination = await provider.terminate(ref);
  let ordered = clock.now();
  let why: GpuRunError | null = null;
  let { state, endedAt = null }: Pick<MachineStatus, 'state' | 'endedAt'> = termination;
  for (let pause = 100; state !== 'gone'; pause = Math.min(pause * 2, 5_000)) {
    if (clock.now() > until) {
      const said = why === null ? '' : `: ${why.message}`;
      throw new GpuRunError('still-billing', `${ref.provider} has not confirmed within 5 minutes that it is gone${said}`, {
        hints: why?.hints ?? [],
        cause: why,
      });
    }
    await clock.sleep(pause);
    ({ state, endedAt = null } = await provider.describe(ref));
    if (!(state === 'running' || state === 'pending') || clock.now() - ordered < orderAgainMs) continue;
    ordered = clock.now(); // the order was taken, and came to nothing
    try {
      await provider.terminate(ref);
    } catch (error) {
      why = toGpuRunError(error);
    }
  }
  return { leftovers: termination.leftovers, endedAt };
}

/** The machine's keys are useless now. The file without a suffix goes last: by it `forgetKeysOfGone` finds what is left. */
export function forgetKeys(machine: MachineEntry, context: Pick<RunContext, 'ledger' | 'home' | 'program'>): void {
  for (const suffix of ['.pub', '.known_hosts', '']) rmSync(join(context.home.keys, `${machine.id}${suffix}`), { force: true });
  writeSshConfig(context);
}

/** Whoever noted a machine as gone may have died before its keys were thrown away. */
export function forgetKeysOfGone(context: Pick<RunContext, 'ledger' | 'home' | 'program'>): void {
  const { ledger, home } = context;
  const ids = existsSync(home.keys) ? readdirSync(home.keys).filter((file) => !file.includes('.')) : [];
  for (const id of ids) {
    const machine = ledger.get(id);
    if (machine?.state === 'gone') forgetKeys(machine, context);
  }
}
