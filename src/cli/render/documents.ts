/** The shapes of `--json`: what stands here is relied on by scripts and keeps its meaning. Times are ISO 8601 in UTC. */
import type { GpuRunError } from '../../core/errors.ts';
import type { JobEntry } from '../../core/job.ts';
import type { Access } from '../../core/machine.ts';
import type { Offer } from '../../core/offer.ts';
import type { MachineEntry } from '../../ledger/ledger.ts';
import { isMetricsFile } from '../../protocol/metric-files.ts';
import type { BudgetUse } from '../../workflows/budget-warnings.ts';
import type { TrainPlan } from '../../workflows/plan-train.ts';
import type { TrainResult } from '../../workflows/train.ts';
import type { UpPlan } from '../../workflows/up.ts';
import { messageChain } from './error.ts';
import { dateOf } from './text.ts';

export const schemaVersion = 1;

/** The last line on stdout of every call with `--json`. `command` is null when it could not be told. */
export function envelope(command: string | null, keys: object, failure: GpuRunError | null): object {
  return {
    schema: schemaVersion,
    type: 'result',
    command,
    outcome: failure === null ? 'ok' : 'error',
    ...keys,
    ...(failure === null ? {} : { ...(failure.attempts.length === 0 ? {} : { attempts: failure.attempts }), error: errorDocument(failure) }),
  };
}

export function errorDocument(error: GpuRunError): object {
  const [, ...causes] = messageChain(error);
  return { code: error.code, message: error.message, hints: error.hints, cause: causes.length === 0 ? null : causes.join(': ') };
}

export function machineDocument(machine: MachineEntry): object {
  const { id, name, provider, offer, state, deadline, access } = machine;
  return {
    id,
    name,
    provider,
    region: offer.region,
    zone: offer.zone,
    type: offer.type,
    gpu: offer.gpu,
    spot: offer.spot,
    state,
    pricePerHour: offer.price.perHour,
    currency: offer.price.currency,
    deadline: isoTime(deadline),
    ssh: access === null ? null : { host: access.host, port: access.port, user: access.user },
    hostKey: hostKeyOf(access),
  };
}

/** `usd`: for the whole run. `reached`: the last share that was warned of, 0.5 or 0.8. */
export function budgetDocument(budget: BudgetUse | null): object | null {
  return budget === null ? null : { usd: budget.usd, spentUsd: budget.spentUsd, reached: budget.reached };
}

export function jobDocument(job: JobEntry): object {
  const { id, machineName, command, state, end, attempts, createdAt, startedAt, endedAt, asOf, gpus = null, givenGpus = null, waitsFor = null } = job;
  return {
    id,
    machine: machineName,
    command,
    state,
    exitCode: end?.code ?? null,
    signal: end?.signal ?? null,
    reason: end?.reason ?? null,
    detail: end?.detail ?? null,
    attempts,
    createdAt: isoTime(createdAt),
    startedAt: isoTime(startedAt),
    endedAt: isoTime(endedAt),
    gpus: gpus?.count ?? null,
    givenGpus,
    waitsFor,
    asOf: isoTime(asOf),
  };
}

export function offerDocument(offer: Offer): object {
  const { provider, region, zone, type, gpu, spot, price, asOf, source, available } = offer;
  return { provider, region, zone, type, gpu, spot, pricePerHour: price.perHour, currency: price.currency, asOf: isoTime(asOf), source, available };
}

/** `--dry-run`: what would be done. */
export function planDocument({ offers, worstCaseUsd, deadline, existing }: UpPlan): object {
  return {
    dryRun: true,
    offers: offers.map(offerDocument),
    worstCaseUsd,
    deadline: isoTime(deadline),
    existing: existing === null ? null : machineDocument(existing),
  };
}

export function trainPlanDocument(plan: TrainPlan): object {
  return { ...planDocument(plan), sync: plan.sync };
}

/** @param at milliseconds since the epoch; null stays null */
export function isoTime(at: number): string;
export function isoTime(at: number | null): string | null;
export function isoTime(at: number | null): string | null {
  return at === null ? null : dateOf(at).toISOString();
}

function hostKeyOf(access: Access | null): string | null {
  if (access === null) return null;
  return access.kind === 'own' ? (access.hostKeys[0] ?? null) : access.hostKey;
}

export function trainDocument({ job, machine, machineDown, sync, outputs, lastMetrics, cost, leftovers }: TrainResult): object {
  return {
    job: jobDocument(job),
    machine: machineDocument(machine),
    machineDown,
    sync,
    // What the job has made; the files that gpu-run has laid beside it are told apart.
    outputs: outputs.filter(({ path }) => !isMetricsFile(path)),
    metrics: { last: lastMetrics, files: outputs.filter(({ path }) => isMetricsFile(path)).map(({ path }) => path) },
    cost,
    leftovers,
  };
}
