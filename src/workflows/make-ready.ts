/**
 * What was launched becomes ready for jobs, or the reason why it can't be is thrown: first its address, then SSH, then the runner,
 * then the GPUs, each within its time. Ends nothing: the caller does.
 */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { MachineRef, MachineStatus } from '../core/machine.ts';
import type { ResourceNeed } from '../core/offer.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { Provider } from '../providers/provider.ts';
import { NoRunnerError } from '../runner/no-runner.ts';
import { checkGpus, type GpuLimits, gpuLimits } from './check-gpus.ts';
import { withConsole } from './console-tail.ts';
import type { RunContext } from './context.ts';
import { endReasonOf } from './end-reason.ts';
import { armWatchdog, checkProtected } from './protection.ts';
import { type ReachedMachine, reachMachine } from './reach-machine.ts';
import { writeSshConfig } from './ssh-config.ts';

/** Milliseconds. */
export interface ReadyLimits extends GpuLimits {
  /** From the order until the provider says that it runs, and how it is reached. */
  readonly bootMs: number;
  /** In a queue of the provider, before that. */
  readonly queueMs: number;
  /** From then until SSH and the runner answer; again when the machine starts anew while its driver is installed. */
  readonly sshMs: number;
  /** How long a refused key is tried again: what installs it on the machine may come after the SSH server. */
  readonly keyMs: number;
}

export const readyLimits: ReadyLimits = { ...gpuLimits, bootMs: 10 * 60_000, queueMs: 3 * 3_600_000, sshMs: 5 * 60_000, keyMs: 90_000 };

export interface ReadyChoices {
  readonly limits?: ReadyLimits;
  /** A machine that nothing would end if nobody came back will do. */
  readonly unprotected?: boolean;
}

/**
 * @throws GpuRunError `unfit` when it does not boot, can't be reached or its GPUs can't be used, `lost` or `preempted` when it ended
 *   meanwhile, each with `retry: 'elsewhere'` and, where the provider has it, the end of its serial console among the hints; else
 *   what the transport and the runner say
 */
export async function makeReady(launched: MachineEntry, need: ResourceNeed, context: RunContext, choices: ReadyChoices = {}): Promise<MachineEntry> {
  try {
    return await getReady(launched, need, context, choices);
  } catch (error) {
    throw await withConsole(error, launched, context);
  }
}

async function getReady(
  launched: MachineEntry,
  need: ResourceNeed,
  context: RunContext,
  { limits = readyLimits, unprotected = false }: ReadyChoices,
): Promise<MachineEntry> {
  const provider = await context.providers.get(launched.provider);
  const machine = await waitForAccess(launched, provider, context, limits);
  const since = context.clock.now();
  for (;;) {
    context.reporter.report({ type: 'phase', phase: 'connect', status: 'begin', text: `Connecting to '${machine.name}'` });
    await using reached = await firstReach(machine, provider, context, limits);
    try {
      const { runner } = reached;
      // First: from here on it ends by itself, whatever becomes of us.
      const watchdog = await armWatchdog(context.ledger.get(machine.id) ?? machine, provider.traits, runner, context);
      checkProtected(context.ledger.note(machine.id, { fact: 'armed', watchdog }), provider.traits, unprotected);
      if (need.gpu !== undefined) await checkGpus({ machineName: machine.name, gpu: need.gpu, runner, since, limits }, context);
    } catch (error) {
      const failure = toGpuRunError(error);
      // Some installers start the machine anew when they are done.
      if (failure.code === 'connection' && !provider.traits.borrowed && context.clock.now() - since < limits.driverMs) continue;
      throw failure;
    }
    if (reached.machine.access === null) throw new GpuRunError('internal', 'a machine without an address was reached');
    const ready = context.ledger.note(machine.id, { fact: 'ready', access: reached.machine.access });
    writeSshConfig(context);
    return ready;
  }
}

async function waitForAccess(machine: MachineEntry, provider: Provider, context: RunContext, { bootMs, queueMs }: ReadyLimits): Promise<MachineEntry> {
  if (machine.ref === null) throw new GpuRunError('internal', 'a launched machine has no ref');
  const mostMs = context.clock.now() + queueMs;
  let until = context.clock.now() + bootMs;
  let queuedAt: number | null = null;
  let waits = false;
  let said: string | null = null;
  for (let pause = 25; ; pause = Math.min(pause * 2, 3_000)) {
    const status = await lookOnce(machine.ref, provider, context);
    if (status.queued === true) {
      waits = true;
      queuedAt = context.clock.now();
      until = Math.min(queuedAt + bootMs, mostMs);
    } else if (waits && queuedAt !== null) {
      waits = false; // or nobody could tell just now; then the next look does
      noteBegun(machine, status, queuedAt, context);
    }
    if (status.state === 'running' && status.access !== null) {
      // The provider's timer begins when the machine does: it has its whole time after the queue, and is paid for no more than that.
      if (queuedAt !== null && status.deadline !== null) context.ledger.note(machine.id, { fact: 'deadline', deadline: status.deadline });
      return context.ledger.note(machine.id, { fact: 'seen', access: status.access });
    }
    throwIfEnded(machine, status);
    if (context.clock.now() > until) throw notStarted(machine, status, bootMs);
    if (status.detail !== said && status.detail !== null)
      context.reporter.report({ type: 'phase', phase: 'launch', status: 'begin', text: `Waiting for '${machine.name}': ${status.detail}` });
    said = status.detail;
    await context.clock.sleep(pause, context.signal);
  }
}

function notStarted({ name }: MachineEntry, { detail }: MachineStatus, bootMs: number): GpuRunError {
  const why = detail === null ? '' : ` (${detail})`;
  return new GpuRunError('unfit', `'${name}' did not start within ${minutes(bootMs)} minutes${why}.`, { retry: 'elsewhere' });
}

/** Its provider's clock may be off: it counts only between the last look that saw it wait, and now. */
function noteBegun({ id }: MachineEntry, { startedAt }: MachineStatus, queuedAt: number, { ledger, clock }: RunContext): void {
  ledger.note(id, { fact: 'begun', at: Math.min(Math.max(startedAt ?? queuedAt, queuedAt), clock.now()) });
}

/** A provider that does not answer once says nothing about the machine: whoever asks asks again, within the same limit. */
async function lookOnce(ref: MachineRef, provider: Provider, context: RunContext): Promise<MachineStatus> {
  try {
    return await provider.describe(ref, context.signal);
  } catch (error) {
    const failure = toGpuRunError(error);
    if (failure.retry !== 'same') throw error;
    return { state: 'pending', access: null, detail: `${provider.id} did not say how it is: ${failure.message.replace(/\.$/, '')}`, deadline: null };
  }
}

function throwIfEnded(machine: MachineEntry, status: MachineStatus): void {
  if (status.state !== 'gone' && status.state !== 'ending') return;
  const why = status.detail === null && status.cause === undefined ? '' : `: ${endReasonOf(status)}`;
  throw new GpuRunError(status.cause === 'preempted' ? 'preempted' : 'lost', `'${machine.name}' ended while it was starting${why}.`, { retry: 'elsewhere' });
}

/** A machine that boots refuses connections, then breaks them, then may refuse our key: all that passes, within limits. The user's own host is simply reached or not. */
async function firstReach(machine: MachineEntry, provider: Provider, context: RunContext, limits: ReadyLimits): Promise<ReachedMachine> {
  const begun = context.clock.now();
  let refusedAt: number | null = null;
  let at = machine;
  for (let pause = 250; ; pause = Math.min(pause * 2, 3_000)) {
    try {
      return await reachMachine(at, context);
    } catch (error) {
      const failure = toGpuRunError(error);
      if (provider.traits.borrowed || machine.ref === null || !mayPass(failure)) throw withFilesOnly(failure, machine);
      const now = context.clock.now();
      if (failure.code === 'not-allowed') {
        refusedAt ??= now;
        if (now - refusedAt >= limits.keyMs) throw failure;
      }
      const status = await lookOnce(machine.ref, provider, context);
      throwIfEnded(machine, status);
      if (now - begun >= limits.sshMs) throw unreachable(machine, failure, limits);
      if (status.access !== null) at = context.ledger.note(machine.id, { fact: 'seen', access: status.access });
      await context.clock.sleep(pause, context.signal);
    }
  }
}

/** Says what still works on a host of the user's own where no runner can live. */
function withFilesOnly(failure: GpuRunError, { name, access }: MachineEntry): GpuRunError {
  if (!(failure instanceof NoRunnerError) || access?.kind !== 'openssh') return failure;
  const { code, message, hints, cause } = failure;
  return new NoRunnerError(code, message, { hints: [...hints, `gpu-run sync ${name}   brings files there all the same, for jobs by hand`], cause });
}

/** Unless whoever failed says that only another machine will do. */
function mayPass({ code, retry }: GpuRunError): boolean {
  return (code === 'connection' && retry !== 'elsewhere') || code === 'not-allowed';
}

function unreachable(machine: MachineEntry, failure: GpuRunError, { sshMs }: ReadyLimits): GpuRunError {
  return new GpuRunError('unfit', `'${machine.name}' runs, but could not be reached within ${minutes(sshMs)} minutes: ${failure.message}`, {
    retry: 'elsewhere',
    cause: failure,
  });
}

function minutes(ms: number): number {
  return Math.round(ms / 60_000);
}
