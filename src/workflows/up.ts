/** `up`: from a need to a machine that is ready. Reuses a live machine of the same name. */
import { type ErrorCode, GpuRunError, toGpuRunError } from '../core/errors.ts';
import { costOf } from '../core/money.ts';
import type { Offer, ResourceNeed } from '../core/offer.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { Provider } from '../providers/provider.ts';
import type { RunContext } from './context.ts';
import { endClaimed } from './down.ts';
import { launchOffer } from './launch-offer.ts';
import { isAbandoned, recover } from './recover.ts';
import { settleGone } from './settle-gone.ts';
import type { UpInput } from './up-input.ts';

export type { UpInput } from './up-input.ts';

export interface UpAttempt {
  readonly provider: string;
  readonly region: string | null;
  readonly zone: string | null;
  readonly type: string;
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
}

export interface UpResult {
  readonly machine: MachineEntry;
  readonly reused: boolean;
  readonly attempts: readonly UpAttempt[];
  /** Who ends the machine at its deadline if nobody comes back, in words. Empty: nobody. */
  readonly protection: readonly string[];
}

export interface UpPlan {
  /** Best first. */
  readonly offers: readonly Offer[];
  /** The first offer's price until the deadline; null without offers. */
  readonly worstCaseUsd: number | null;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** A live machine of that name would be reused. */
  readonly existing: MachineEntry | null;
}

/**
 * @throws GpuRunError `no-capacity` when nothing fits, `conflict` when the name is taken by a different machine, what the
 * provider said when no offer worked out, `interrupted` after everything was undone, `still-billing` when that failed.
 */
export async function up(input: UpInput, context: RunContext): Promise<UpResult> {
  await recover(context);
  const attempts: UpAttempt[] = [];
  for (;;) {
    const existing = await settleExisting(input.name, context);
    if (existing !== null)
      return { machine: reuse(checkFits(existing, input), input, context), reused: true, attempts, protection: await protectionOf(existing, context) };
    const { offers } = await findOffers(input, context);
    const made = await tryOffers(input, offers, attempts, context);
    if (made !== null) return { machine: made, reused: false, attempts, protection: await protectionOf(made, context) };
  } // null: another gpu-run has just opened the same name; use its machine
}

/** `--dry-run`: what `up` would do. Costs nothing and changes nothing. @throws GpuRunError `no-capacity` when nothing fits */
export async function planUp(input: UpInput, context: RunContext): Promise<UpPlan> {
  const { offers, deadline } = await findOffers(input, context);
  const best = offers[0];
  const existing = context.ledger.list({ name: input.name, live: true })[0] ?? null;
  if (best === undefined && existing === null) throw nothingFits(input);
  return {
    offers,
    deadline,
    worstCaseUsd: best === undefined ? null : costOf(best.price, (deadline - context.clock.now()) / 1000),
    existing,
  };
}

/** The budget buys time at the best offer's price; the deadline is the earlier of that and the time limit. */
function deadlineFor(input: UpInput, offer: Offer, now: number): number {
  const affordable = input.budgetUsd === null || offer.price.perHour === 0 ? Number.POSITIVE_INFINITY : (input.budgetUsd / offer.price.perHour) * 3600;
  return Math.floor(now + Math.min(input.maxTimeSeconds, affordable) * 1000);
}

async function findOffers(input: UpInput, context: RunContext): Promise<{ offers: Offer[]; deadline: number }> {
  context.reporter.report({ type: 'phase', phase: 'offers', status: 'begin', text: 'Looking for a machine' });
  const offers: Offer[] = [];
  for (const id of input.providers) {
    const provider = await context.providers.get(id);
    for await (const offer of provider.offers(input.need, context.signal)) offers.push(offer);
  }
  const now = context.clock.now();
  const best = offers[0];
  return { offers, deadline: best === undefined ? now : deadlineFor(input, best, now) };
}

async function tryOffers(input: UpInput, offers: readonly Offer[], attempts: UpAttempt[], context: RunContext): Promise<MachineEntry | null> {
  let last: GpuRunError | null = null;
  for (const offer of offers) {
    const attempt = { provider: offer.provider, region: offer.region, zone: offer.zone, type: offer.type };
    try {
      const machine = await launchOffer({ ...input, offer, deadline: deadlineFor(input, offer, context.clock.now()) }, context);
      if (machine !== null) attempts.push({ ...attempt, error: null });
      return machine;
    } catch (error) {
      last = toGpuRunError(error);
      attempts.push({ ...attempt, error: { code: last.code, message: last.message } });
      if (last.retry !== 'elsewhere') throw last;
    }
  }
  if (last !== null) throw last;
  throw nothingFits(input);
}

function nothingFits(input: UpInput): GpuRunError {
  return new GpuRunError('no-capacity', `No machine fits (${describeNeed(input.need)}) at ${input.providers.join(', ')}.`, {
    hints: ['gpu-run offers   shows what could be rented', 'Ask for another --gpu, or let --region and --spot open.'],
  });
}

function describeNeed(need: ResourceNeed): string {
  const gpu = need.gpu === undefined ? 'any GPU or none' : `${need.gpu.count} x ${need.gpu.name}`;
  return `${need.nodes > 1 ? `${need.nodes} machines with ` : ''}${gpu}${need.spot ? ' (spot)' : ''}${need.regions.length > 0 ? ` in ${need.regions.join(', ')}` : ''}`;
}

/** Brings a live machine of that name into a clear state: ready, or not there. Waits while another gpu-run is making or ending it. */
async function settleExisting(name: string, context: RunContext): Promise<MachineEntry | null> {
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
  if (status.state === 'gone' && (await settleGone(entry, status.detail ?? 'it ended by itself', context)) !== null) return null;
  if (status.state === 'running') return context.ledger.note(entry.id, status.access === null ? { fact: 'seen' } : { fact: 'seen', access: status.access });
  await context.clock.sleep(500, context.signal);
  return lookAgain(entry, context);
}

/** Its limits stay as they are: they were promised when it was made. One that was rented for one job is kept when `up` wants it. */
function reuse(machine: MachineEntry, input: UpInput, context: RunContext): MachineEntry {
  const stricter =
    deadlineFor(input, machine.offer, context.clock.now()) < machine.deadline ||
    (input.idleSeconds ?? Number.POSITIVE_INFINITY) < (machine.idleSeconds ?? Number.POSITIVE_INFINITY);
  if (stricter) {
    const text = `'${machine.name}' was up already and keeps its limits: it ends at ${new Date(machine.deadline).toISOString()} at the latest`;
    context.reporter.report({ type: 'note', level: 'warn', text });
  }
  return machine.forOneJob && !input.forOneJob ? context.ledger.note(machine.id, { fact: 'kept' }) : machine;
}

function checkFits(machine: MachineEntry, input: UpInput): MachineEntry {
  const wrongProvider = !input.providers.includes(machine.provider);
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

async function protectionOf(machine: MachineEntry, context: RunContext): Promise<string[]> {
  const { traits }: Provider = await context.providers.get(machine.provider);
  if (traits.borrowed) return ['the host is your own and stays; jobs there end with `gpu-run down`, nothing ends them at the deadline'];
  const idle = machine.idleSeconds === null ? '' : `, or after ${Math.round(machine.idleSeconds / 60)} idle minutes`;
  return traits.deadline === 'none'
    ? []
    : [`${traits.deadline === 'native' ? machine.provider : 'the watchdog on the machine'} ends it at its deadline${idle}`];
}
