/**
 * Ends one machine and makes sure that it is gone. Every way down goes through here: `down`, the end of `train`,
 * the unwinding of a failed `up`, `reap` and crash recovery. The caller holds the machine's claim.
 */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { MachineRef } from '../core/machine.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { Provider } from '../providers/provider.ts';
import type { RunContext } from './context.ts';
import { closeJobs } from './keep-job.ts';
import { reachMachine } from './reach-machine.ts';
import { retryConnection } from './retry-connection.ts';
import { forgetKeys, noteGone, terminateAndWait } from './settle-gone.ts';

/** For jobs on a borrowed host to end by themselves. */
const jobGraceMs = 10_000;
/** Of a machine that was seen running so short a time ago nobody asks when it ended, milliseconds. */
const freshMs = 60_000;

export interface EndedMachine {
  readonly machine: MachineEntry;
  /** What may still bill or exist, with the command to end it. */
  readonly leftovers: readonly string[];
  /** Why it was not ended after all. Absent: it is gone. */
  readonly stays?: string;
}

/**
 * Runs to its end even when the caller was interrupted: an interrupted teardown is how machines leak.
 * @throws GpuRunError `still-billing` when the provider does not confirm that it is gone; the ledger then keeps the machine as `ending`.
 */
export async function endMachine(entry: MachineEntry, reason: string, context: RunContext): Promise<EndedMachine> {
  const { ledger, reporter } = context;
  reporter.report({ type: 'phase', phase: 'teardown', status: 'begin', text: `Ending '${entry.name}'` });
  ledger.note(entry.id, { fact: 'ending', reason });
  const provider = await context.providers.get(entry.provider);
  let leftovers: readonly string[] = [];
  let endedAt: number | null = null;
  try {
    if (provider.traits.borrowed) await leaveHost(entry, context);
    else endedAt = await endBefore(entry, provider, context);
    for (const ref of await refsOf(entry, provider)) {
      const ended = await terminateAndWait(ref, provider, context);
      leftovers = [...leftovers, ...ended.leftovers];
      endedAt ??= ended.endedAt;
    }
  } catch (error) {
    if (provider.traits.borrowed) throw toGpuRunError(error);
    throw stillBilling(entry, error, provider);
  }
  closeJobs(entry, reason, context); // before: of what is gone nobody looks for jobs any more, should we die here
  const machine = noteGone(entry, reason, { leftovers, endedAt }, context);
  forgetKeys(entry, context);
  reporter.report({ type: 'phase', phase: 'teardown', status: 'end', text: `'${entry.name}' is gone` });
  return { machine, leftovers };
}

/** When it had ended already, should it have; null: it had not, as far as can be told. One that runs is noted as seen: it is billed until now. */
async function endBefore({ id, ref, asOf }: MachineEntry, provider: Provider, { ledger, clock }: RunContext): Promise<number | null> {
  if (ref === null || clock.now() - asOf < freshMs) return null;
  try {
    const look = await provider.describe(ref);
    if (look.state === 'running') ledger.note(id, { fact: 'seen' });
    if (look.queued === true) ledger.note(id, { fact: 'begun', at: clock.now() }); // it has cost nothing
    return look.endedAt ?? null;
  } catch {
    return null; // whoever can't be asked now is told to end it all the same
  }
}

/** An intent without a ref may or may not have reached the provider: look for its id among all that is ours. */
async function refsOf(entry: MachineEntry, provider: Provider): Promise<MachineRef[]> {
  if (entry.ref !== null) return [entry.ref];
  const refs: MachineRef[] = [];
  for await (const ref of provider.list(entry.owner)) if (ref.id === entry.id) refs.push(ref);
  return refs;
}

/** On the user's own host nothing but our jobs and files ends. A host out of reach after the deadline is given up. */
async function leaveHost(entry: MachineEntry, context: RunContext): Promise<void> {
  if (entry.access === null) return; // never got ready: nothing was put there that runs
  try {
    await (entry.readyAt === null ? clearHost(entry, context) : retryConnection(() => clearHost(entry, context), context));
  } catch (error) {
    const failure = toGpuRunError(error);
    // It never got ready: no job ran there, and why it can't be reached has been said already.
    if (entry.readyAt === null) return;
    if (context.clock.now() < entry.deadline) {
      throw new GpuRunError(failure.code, `Our jobs and files on '${entry.name}' could not be removed: ${failure.message}`, {
        cause: error,
        hints: [...failure.hints, `Try again when the host can be reached: gpu-run down ${entry.name}`],
      });
    }
    context.reporter.report({
      type: 'note',
      level: 'warn',
      text: `'${entry.name}' could not be reached and is past its deadline; our files in ~/.gpu-run/machines/${entry.id} there were not removed`,
    });
  }
}

function stillBilling(entry: MachineEntry, cause: unknown, provider: Provider): GpuRunError {
  const why = toGpuRunError(cause);
  const byHand = entry.ref === null ? undefined : provider.endByHand?.(entry.ref);
  return new GpuRunError('still-billing', `'${entry.name}' (${entry.provider} ${entry.id}) may still be running and billing: ${why.message}`, {
    cause,
    hints: [...new Set([`gpu-run down ${entry.name}   tries again`, ...why.hints, ...(byHand === undefined ? [] : [byHand])])],
  });
}

async function clearHost(entry: MachineEntry, context: RunContext): Promise<void> {
  await using reached = await reachMachine(entry, context, AbortSignal.timeout(60_000));
  await reached.runner.call('shutdown', { graceMs: jobGraceMs });
  await reached.runner.close();
  const removal = reached.transport.exec(['rm', '-rf', '--', reached.root]);
  removal.stdin.end();
  removal.stdout.resume();
  removal.stderr.resume();
  const { code } = await removal.exit;
  if (code !== 0)
    throw new GpuRunError('sync', `${reached.root} could not be removed there (exit code ${code}).`, {
      hints: [`Look at it: gpu-run ssh ${entry.name} -- ls -la ${reached.root}`],
    });
}
