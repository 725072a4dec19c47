/** Machines, jobs and offers as tables and sentences. */
import { formatGpuNeed } from '../../core/gpu-need.ts';
import type { JobEntry } from '../../core/job.ts';
import { formatUsd, type Price } from '../../core/money.ts';
import type { Offer } from '../../core/offer.ts';
import type { MachineEntry } from '../../ledger/ledger.ts';
import { downDetail } from '../../workflows/end-reason.ts';
import type { ExtendResult } from '../../workflows/extend.ts';
import type { StatusResult } from '../../workflows/status.ts';
import type { UpPlan, UpResult } from '../../workflows/up.ts';
import type { Style } from './style.ts';
import { renderTable, renderWithLast } from './table.ts';
import { ago, harmless, moment, span, wrap } from './text.ts';

/** How and when the text is shown. */
export interface View {
  readonly style: Style;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Characters a line. */
  readonly width: number;
}

export function renderStatus({ machines, jobs, unreachable = [] }: StatusResult, view: View): string {
  const nothingUp = unreachable.length === 0 ? 'Nothing is up.' : 'Nothing is known to be up.';
  const parts = [machines.length === 0 ? nothingUp : renderMachines(machines, view)];
  if (jobs.length > 0) parts.push(renderJobs(jobs, view));
  const warnings = machines.flatMap(({ budget, state }) => (budget?.warning == null || state === 'gone' ? [] : [budget.warning]));
  if (warnings.length > 0) parts.push(warnings.flatMap((text) => wrap(`${view.style.yellow('Warning:')} ${harmless(text)}`, view.width)).join('\n'));
  return parts.join('\n\n');
}

function renderMachines(machines: StatusResult['machines'], { style, now, width }: View): string {
  const columns = [
    { title: 'MACHINE' },
    { title: 'PROVIDER' },
    { title: 'TYPE', spare: 1 },
    { title: 'GPU', spare: 3 },
    { title: 'STATE' },
    { title: 'PER HOUR', align: 'right', spare: 2 },
    { title: 'COST', align: 'right' },
    { title: 'ENDS' },
    { title: 'AS OF' },
  ] as const;
  const rows = machines.map((machine) => [
    machine.name,
    placeOf(machine.offer),
    machine.offer.type,
    gpuOf(machine.offer),
    machine.state,
    formatUsd(machine.offer.price.perHour),
    formatUsd(machine.costUsd),
    endOf(machine, now),
    ago(machine.asOf, now),
  ]);
  return renderTable(columns, rows, style, width);
}

function renderJobs(jobs: readonly JobEntry[], { style, now, width }: View): string {
  const shares = jobs.some(({ gpus }) => gpus != null);
  const columns = [
    { title: 'JOB' },
    { title: 'MACHINE' },
    { title: 'STATE' },
    ...(shares ? ([{ title: 'GPUS' }] as const) : []),
    { title: 'STARTED' },
    { title: 'TOOK', align: 'right' },
    { title: 'AS OF' },
  ] as const;
  const rows = jobs.map((job) => [
    job.id,
    job.machineName,
    stateOf(job),
    ...(shares ? [gpusOf(job)] : []),
    job.startedAt === null ? '-' : ago(job.startedAt, now),
    job.startedAt === null ? '-' : span(((job.endedAt ?? now) - job.startedAt) / 1000),
    ago(job.asOf, now),
  ]);
  const commands = { title: 'COMMAND', texts: jobs.map(({ command }) => command) };
  const waiting = jobs.flatMap(({ id, state, waitsFor }) => (state === 'queued' && waitsFor != null ? [`${id} waits for ${waitsFor}`] : []));
  return [renderWithLast(columns, commands, rows, style, width), ...waiting].join('\n');
}

/** `1 of 2`, `1 of 2: GPU 0`, `all`. */
function gpusOf({ gpus = null, givenGpus = null }: JobEntry): string {
  if (gpus === null) return 'all';
  return `${gpus.count} of ${gpus.of}${givenGpus === null ? '' : `: GPU ${givenGpus.join(', ')}`}`;
}

/** `exit 0`, `SIGKILL`, `cancelled`, `running`; `down`: its machine was ended under it. */
function stateOf({ state, end }: JobEntry): string {
  if (state !== 'ended' || end === null) return state;
  if (end.reason === 'signal') return end.signal ?? 'signal';
  if (end.reason === 'lost' && end.detail === downDetail) return 'down';
  return end.reason === 'exit' || (end.reason === 'setup' && end.code !== null) ? `${end.reason} ${end.code}` : end.reason;
}

export function renderOffers(offers: readonly Offer[], { style, now, width }: View): string {
  const columns = [
    { title: 'PROVIDER' },
    { title: 'TYPE' },
    { title: 'GPU' },
    { title: 'SPOT' },
    { title: 'PER HOUR', align: 'right' },
    { title: 'AVAILABLE' },
    { title: 'PRICE FROM' },
  ] as const;
  const rows = offers.map((offer) => [
    placeOf(offer),
    offer.type,
    gpuOf(offer),
    offer.spot ? 'spot' : '-',
    formatUsd(offer.price.perHour),
    offer.available === null ? 'not known' : offer.available ? 'yes' : 'no',
    `${offer.source}, ${ago(offer.asOf, now)}`,
  ]);
  return offers.length === 0 ? 'No machine fits what is asked for.' : renderTable(columns, rows, style, width);
}

/** `--dry-run`. */
export function renderPlan(name: string, plan: UpPlan, view: View): string {
  const { existing, offers, worstCaseUsd, deadline } = plan;
  if (existing !== null) return `'${existing.name}' is up already (${placeOf(existing.offer)}, ${existing.offer.type}) and would be used. Nothing was changed.`;
  if (worstCaseUsd === null) return renderOffers(offers, view);
  return [
    renderOffers(offers, view),
    '',
    `'${name}' would be the first of these, and end by ${moment(deadline)} (in ${span((deadline - view.now) / 1000)}) whatever happens.`,
    `At most ${formatUsd(worstCaseUsd)}. Nothing was ordered.`,
  ].join('\n');
}

export function renderUp({ machine, reused, protection }: UpResult, { style, now, width }: View): string {
  const { name, offer, access, deadline, budgetUsd } = machine;
  const gpu = offer.gpu === null ? '' : `, ${gpuOf(offer)}`;
  return [
    `${style.bold(name)} is up${reused ? ' already' : ''}: ${harmless(`${placeOf(offer)}, ${offer.type}${gpu}`)}, ${perHour(offer.price)}`,
    `  ends      in ${span((deadline - now) / 1000)}, at ${moment(deadline)}`,
    ...(budgetUsd === null ? [] : [`  budget    ${formatUsd(budgetUsd)} for the whole run`]),
    ...safetyLines(protection, width),
    ...(access === null
      ? []
      : [`  address   ${harmless(`${access.user === null ? '' : `${access.user}@`}${access.host}${access.port === null ? '' : `:${access.port}`}`)}`]),
    `  next      gpu-run train ${name}   gpu-run ssh ${name}   gpu-run down ${name}`,
  ].join('\n');
}

export function renderExtend({ machine, from, protection }: ExtendResult, { now, width }: View): string {
  return [
    `'${machine.name}' ends in ${span((machine.deadline - now) / 1000)}, at ${moment(machine.deadline)} (before: ${moment(from)})`,
    ...safetyLines(protection, width),
  ].join('\n');
}

function safetyLines(protection: readonly string[], width: number): string[] {
  const indent = ' '.repeat(12);
  const sentences = protection.length === 0 ? ['none: nothing ends it but gpu-run on this computer'] : protection;
  return sentences.flatMap((sentence) =>
    wrap(harmless(sentence), width - indent.length).map((line, index) => (index === 0 ? `  safety    ${line}` : indent + line)),
  );
}

export function perHour(price: Price): string {
  return `${formatUsd(price.perHour)} an hour`;
}

/** `gcp us-central1-a`, `local`. */
export function placeOf({ provider, region, zone }: Offer): string {
  const place = zone ?? region;
  return place === null ? provider : `${provider} ${place}`;
}

export function gpuOf({ gpu }: Offer): string {
  return gpu === null ? '-' : formatGpuNeed(gpu);
}

function endOf(machine: MachineEntry, now: number): string {
  if (machine.endedAt !== null) return ago(machine.endedAt, now);
  return machine.deadline > now ? `in ${span((machine.deadline - now) / 1000)}` : 'past its deadline';
}
