/** `status`: machines and jobs from the ledger at once; with `refresh` the providers and runners are asked first. */
import { toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import type { Ledger, MachineEntry } from '../ledger/ledger.ts';
import type { Unreachable } from './adopt.ts';
import { type BudgetUse, budgetUse } from './budget-warnings.ts';
import type { RunContext } from './context.ts';
import { wholeCost } from './cost-egress.ts';
import type { ReachedMachine } from './reach-machine.ts';

export interface StatusInput {
  readonly refresh: boolean;
  /** Machines that are gone, and ended jobs, too. */
  readonly all: boolean;
  /** What the config says of the providers: with `refresh` they look there, too. */
  readonly providerOptions?: Readonly<Record<string, unknown>>;
}

export interface MachineView extends MachineEntry {
  readonly costUsd: number;
  /** null: without a budget, and where nothing is billed. */
  readonly budget: BudgetUse | null;
}

export interface StatusResult {
  readonly machines: readonly MachineView[];
  readonly jobs: readonly JobEntry[];
  /** Providers that did not say everything: machines of ours may be there that are not shown. Absent: none was asked. */
  readonly unreachable?: readonly Unreachable[];
}

/** Ended jobs of live machines are shown without `all`, the newest few. */
const shownJobs = 20;

export async function status(input: StatusInput, context: RunContext): Promise<StatusResult> {
  const { ledger, clock } = context;
  let unreachable: readonly Unreachable[] | null = null;
  if (input.refresh) {
    const found = import('./adopt.ts').then(({ adoptFound }) => adoptFound(input.providerOptions ?? {}, context));
    [unreachable] = await Promise.all([found, ...ledger.list({ live: true }).map((machine) => refreshOrWarn(machine, context))]);
  }
  const machines = ledger
    .list(input.all ? {} : { live: true })
    .filter(({ neverMade }) => neverMade === undefined)
    .map((machine) => ({ ...machine, costUsd: wholeCost(machine, clock.now()), budget: budgetUse(machine, { clock }) }));
  return { machines, jobs: input.all ? ledger.listJobs() : newestJobs(machines, ledger), ...(unreachable === null ? {} : { unreachable }) };
}

/** Newest first. */
function newestJobs(machines: readonly MachineEntry[], ledger: Ledger): JobEntry[] {
  return machines
    .flatMap(({ id }) => ledger.listJobs({ machineId: id, limit: shownJobs }))
    .sort((a, b) => b.createdAt - a.createdAt)
    .slice(0, shownJobs);
}

/** One machine out of reach must not hide the others. */
async function refreshOrWarn(machine: MachineEntry, context: RunContext): Promise<void> {
  try {
    await refresh(machine, context);
  } catch (error) {
    context.reporter.report({ type: 'note', level: 'warn', text: `'${machine.name}' could not be refreshed: ${toGpuRunError(error).message}` });
  }
}

async function refresh(machine: MachineEntry, context: RunContext): Promise<void> {
  if (machine.ref === null || machine.state === 'intent') return;
  const provider = await context.providers.get(machine.provider);
  const seen = await provider.describe(machine.ref, context.signal);
  // Loaded only here: plain `status` must not pay for SSH.
  const [{ hasKey, reachMachine }, { settleGone }, { endReasonOf, isOver }] = await Promise.all([
    import('./reach-machine.ts'),
    import('./settle-gone.ts'),
    import('./end-reason.ts'),
  ]);
  if (isOver(seen) && (await settleGone(machine, endReasonOf(seen), context)) !== null) return;
  const fresh = context.ledger.note(machine.id, seen.access === null ? { fact: 'seen' } : { fact: 'seen', access: seen.access });
  if (fresh.state !== 'ready' || !hasKey(fresh, context)) return;
  await using reached = await reachMachine(fresh, context);
  await refreshJobs(reached, context);
}

/** @throws GpuRunError also `protocol`: its list lacks a job that it has run, and may have */
async function refreshJobs({ machine, runner }: ReachedMachine, context: RunContext): Promise<void> {
  const [{ jobsDue, jobsThere, lackingOf, noteTold }, { closeUnsent }] = await Promise.all([import('./jobs-there.ts'), import('./keep-job.ts')]);
  const { clock, ledger } = context;
  const asked = clock.now();
  const due = jobsDue(null, machine, context); // before: others may send some meanwhile
  const { jobs } = await runner.call('jobs', {});
  noteTold(jobs, machine, context);
  const lacking = lackingOf(due, jobs);
  const again = lacking.length === 0 ? null : await jobsThere(null, () => lacking, machine, context);
  closeUnsent(machine, { ids: new Set([...jobs.map(({ id }) => id), ...(again?.ids ?? [])]), asked }, context);
  const isOpen = ({ id }: JobEntry) => ledger.getJob(id)?.state !== 'ended';
  if (again !== null && again.doubt !== null && lacking.some(isOpen)) throw again.doubt;
}
