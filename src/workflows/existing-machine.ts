/** A machine of the asked name that is there already: brought into a clear state, and used if it is what is asked for. */
import { GpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { Offer, ResourceNeed } from '../core/offer.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { endClaimed } from './down.ts';
import { endReasonOf, isOver } from './end-reason.ts';
import { isAbandoned } from './recover.ts';
import { settleGone } from './settle-gone.ts';
import { deadlineFor, describeNeed, type UpInput } from './up-input.ts';

/** Brings a live machine of that name into a clear state: ready, or not there. Waits while another gpu-run is making or ending it. */
export async function settleExisting(name: string, context: RunContext): Promise<MachineEntry | null> {
  let told = false;
  for (;;) {
    const entry = context.ledger.list({ name, live: true })[0];
    if (entry === undefined) return null;
    if (entry.state === 'ready') return lookAgain(entry, context);
    if (isAbandoned(entry)) await endClaimed(entry, 'the gpu-run that was starting it died', context);
    else {
      const doing = entry.state === 'ending' ? 'ending' : 'starting';
      if (!told)
        context.reporter.report({
          type: 'phase',
          phase: 'launch',
          status: 'begin',
          text: `Waiting for the gpu-run (process ${entry.holder?.pid}) that is ${doing} '${name}'`,
        });
      told = true;
      await context.clock.sleep(100, context.signal);
    }
  }
}

/** The ledger says ready: ask the provider whether that still holds. */
async function lookAgain(entry: MachineEntry, context: RunContext): Promise<MachineEntry | null> {
  if (entry.ref === null) return null;
  const provider = await context.providers.get(entry.provider);
  const status = await provider.describe(entry.ref, context.signal);
  if (isOver(status) && (await settleGone(entry, endReasonOf(status), context)) !== null) return null;
  if (status.state === 'running') return context.ledger.note(entry.id, status.access === null ? { fact: 'seen' } : { fact: 'seen', access: status.access });
  if (status.state === 'ending') {
    // Stopped, or on its way: nothing brings it back, and what is stopped may bill for its disk until somebody ends it.
    await endClaimed(entry, status.detail ?? 'it ended by itself', context);
    return null;
  }
  await context.clock.sleep(500, context.signal);
  return lookAgain(entry, context);
}

/** Its limits stay as they are: they were promised when it was made. One that was rented for one job is kept when `up` wants it. */
export function reuse(machine: MachineEntry, input: UpInput, context: RunContext): MachineEntry {
  const stricter =
    deadlineFor(input, machine.offer, context.clock.now()) < machine.deadline ||
    (input.idleSeconds ?? Number.POSITIVE_INFINITY) < (machine.idleSeconds ?? Number.POSITIVE_INFINITY);
  if (stricter) {
    const text = `'${machine.name}' was up already and keeps its limits: it ends at ${new Date(machine.deadline).toISOString()} at the latest`;
    context.reporter.report({ type: 'note', level: 'warn', text });
  }
  return machine.forOneJob && !input.forOneJob ? context.ledger.note(machine.id, { fact: 'kept' }) : machine;
}

/**
 * How many of a machine's GPUs a job takes that asks for fewer than there are: others may then run beside it. null: it asks for all
 * of them or for none in particular, and has the machine to itself.
 */
export function gpusForJob({ gpu }: Pick<ResourceNeed, 'gpu'>, { gpu: has }: Pick<Offer, 'gpu'>): NonNullable<JobEntry['gpus']> | null {
  return gpu === undefined || has === null || gpu.count >= has.count ? null : { count: gpu.count, of: has.count };
}

export function checkFits(machine: MachineEntry, input: UpInput): MachineEntry {
  const wrongProvider = input.anyProvider !== true && !input.providers.includes(machine.provider);
  const wrongCount = input.need.nodes > 1;
  const gpu = input.need.gpu;
  const has = machine.offer.gpu;
  const wrongGpu = gpu !== undefined && (has === null || has.count < gpu.count || has.name.toLowerCase() !== gpu.name.toLowerCase());
  if (!wrongProvider && !wrongGpu && !wrongCount) return machine;
  const found = `${machine.provider} ${machine.offer.type}${has === null ? '' : ` with ${has.count} x ${has.name}`}`;
  throw new GpuRunError(
    'conflict',
    `A machine named '${machine.name}' is up already, but it is another one: ${found}. Asked for: ${input.providers.join(' or ')}, ${describeNeed(input.need)}.`,
    {
      hints: [`gpu-run down ${machine.name}   ends it`, 'gpu-run up OTHER-NAME   makes a second one'],
    },
  );
}
