/** `top --once --json`, and the events of `top --json`. Rates are a second, utilisation per cent; null: not known. */
import { jobIdOf } from '../../core/job.ts';
import { etaOf, totalsOf } from '../../workflows/top-eta.ts';
import type { TopEvent } from '../../workflows/top-event.ts';
import type { TopView } from '../../workflows/top-model.ts';
import { budgetDocument, isoTime, machineDocument } from './documents.ts';

export function topDocument(view: TopView): object {
  const { machine, sample, jobs, job, training, spentUsd, budget, log } = view;
  const eta = etaOf(view);
  const totals = totalsOf(view);
  return {
    machine: machineDocument(machine),
    asOf: isoTime(sample?.t ?? null),
    source: sample?.source ?? null,
    problem: sample?.problem ?? null,
    gpus: sample?.gpus ?? [],
    processes: sample?.processes ?? [],
    host: sample?.host ?? null,
    job: job === null ? null : summaryDocument(job),
    jobs: jobs.map(summaryDocument),
    metrics: {
      last: training.last,
      step: training.step,
      steps: totals.steps,
      epoch: training.epoch,
      epochs: totals.epochs,
      stepsPerSecond: training.stepsPerSecond,
      secondsPerEpoch: training.secondsPerEpoch,
      secondsLeft: eta?.seconds ?? null,
    },
    cost: { usd: spentUsd, pricePerHour: machine.offer.price.perHour, budget: budgetDocument(budget) },
    log: log.slice(-20),
  };
}

function summaryDocument({ id, attempt, state, end, command, createdAt, startedAt, endedAt, givenGpus, waitsFor, logBytes }: TopView['jobs'][number]): object {
  return {
    id: jobIdOf(id),
    command,
    state,
    exitCode: end?.code ?? null,
    reason: end?.reason ?? null,
    attempt,
    gpus: givenGpus,
    waitsFor,
    createdAt: isoTime(createdAt),
    startedAt: isoTime(startedAt),
    endedAt: isoTime(endedAt),
    logBytes,
  };
}

/** Those that are not the job's own: these stand as its followers see them. */
export function topEventDocument(event: Exclude<TopEvent, { type: 'record' | 'log' }>): object {
  switch (event.type) {
    case 'sample': {
      const { t, ...sample } = event.sample;
      return { type: 'sample', at: isoTime(t), ...sample };
    }
    case 'link':
      return { type: 'link', at: isoTime(event.at), state: event.state, text: event.text };
    case 'job':
      return { type: 'job', id: event.id };
    case 'machine':
      return { type: 'cost', at: isoTime(event.at), usd: event.spentUsd, deadline: isoTime(event.machine.deadline), budget: budgetDocument(event.budget) };
    case 'jobs':
      return { type: 'jobs', jobs: event.jobs.map(summaryDocument) };
  }
}
