/** What `top` knows, built up from its events. Bounded, however long it runs. */
import { stripVTControlCharacters } from 'node:util';
import type { GpuSample, JobRecord, JobSummary, LogStream, TelemetrySample } from '../core/job.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { BudgetUse } from './budget-warnings.ts';
import type { Point } from './report-curves.ts';
import { rateOf } from './report-training.ts';
import { createEpochs } from './top-epochs.ts';
import type { LinkState, TopEvent } from './top-event.ts';
import { chosenJob } from './top-follow.ts';

type MetricRecord = Extract<JobRecord, { readonly type: 'metric' }>;

export interface TopView {
  readonly machine: MachineEntry;
  /** US dollars, of its whole run, when it was last looked at. */
  readonly spentUsd: number;
  readonly budget: BudgetUse | null;
  readonly link: { readonly state: LinkState; readonly text: string; readonly since: number };
  readonly sample: TelemetrySample | null;
  /** Newest last. */
  readonly samples: readonly TelemetrySample[];
  /** Oldest first. */
  readonly jobs: readonly JobSummary[];
  readonly job: JobSummary | null;
  readonly training: TrainingView;
  /** Lines as they stand on a terminal, the last one perhaps unfinished; control characters are gone. */
  readonly log: readonly string[];
}

export interface TrainingView {
  /** Newest values by name. */
  readonly last: Readonly<Record<string, number>>;
  readonly step: number | null;
  readonly epoch: number | null;
  readonly stepsPerSecond: number | null;
  readonly secondsPerEpoch: number | null;
  /** With the part of the one that runs. */
  readonly epochsDone: number | null;
  /** By step, else in the order in which they came. */
  readonly curves: ReadonlyMap<string, readonly Point[]>;
  readonly newest: readonly MetricRecord[];
}

const mostSamples = 600;
/** More than any terminal is high. */
const mostLines = 300;
const longestLine = 2_000;
const mostPoints = 2_000;
const mostCurves = 50;
/** How fast it is now, not how fast it was in the beginning. */
const recentRecords = 200;

export interface TopModel {
  apply(event: TopEvent): void;
  /** null until the machine is known. */
  view(): TopView | null;
}

export function createTopModel(): TopModel {
  let known: Pick<TopView, 'machine' | 'spentUsd' | 'budget'> | null = null;
  let link: TopView['link'] = { state: 'connecting', text: '', since: 0 };
  let samples: TelemetrySample[] = [];
  let jobs: readonly JobSummary[] = [];
  let jobId: string | null = null;
  let told = createTold();

  return {
    apply(event) {
      switch (event.type) {
        case 'link':
          link = { state: event.state, text: event.text, since: event.state === link.state ? link.since : event.at };
          break;
        case 'machine':
          known = event;
          break;
        case 'sample':
          samples = [...samples.slice(-(mostSamples - 1)), event.sample];
          break;
        case 'jobs':
          jobs = event.jobs.toSorted((a, b) => a.createdAt - b.createdAt);
          break;
        case 'job':
          jobId = event.id;
          told = createTold();
          break;
        case 'record':
          told.record(event.record);
          break;
        case 'log':
          told.log(event.stream, event.bytes);
          break;
      }
    },
    view() {
      if (known === null) return null;
      const { machine, spentUsd, budget } = known;
      const job = chosenJob(jobs, jobId);
      return {
        machine,
        spentUsd,
        budget,
        link,
        sample: samples.at(-1) ?? null,
        samples,
        jobs,
        job,
        training: told.training(samples.at(-1)?.t ?? 0),
        log: told.lines(),
      };
    },
  };
}

/** What one job has told. */
interface Told {
  record(record: JobRecord): void;
  log(stream: LogStream, bytes: Uint8Array): void;
  /** @param now milliseconds on the machine, at least */
  training(now: number): TrainingView;
  lines(): readonly string[];
}

function createTold(): Told {
  const streams = { out: { decoder: new TextDecoder(), open: '' }, err: { decoder: new TextDecoder(), open: '' } };
  const last: Record<string, number> = {};
  const curves = new Map<string, Point[]>();
  let recent: MetricRecord[] = [];
  const epochs = createEpochs();
  let count = 0;
  let step: number | null = null;
  let epoch: number | null = null;
  let lines: string[] = [];
  return {
    record(record) {
      if (record.type === 'state' && record.state === 'running') {
        recent = []; // another attempt
        epochs.nextAttempt();
      }
      if (record.type !== 'metric') return;
      count += 1;
      epochs.add(record);
      step = record.step ?? step;
      epoch = record.epoch ?? epoch;
      recent = [...recent.slice(-(recentRecords - 1)), record];
      for (const [name, value] of Object.entries(record.values)) {
        if (!(name in last) && curves.size >= mostCurves) continue;
        last[name] = value;
        curves.set(name, withPoint(curves.get(name) ?? [], [record.step ?? count, value]));
      }
    },
    log(name, bytes) {
      const stream = streams[name];
      const parts = `${stream.open}${stream.decoder.decode(bytes, { stream: true })}`.split('\n');
      stream.open = (parts.pop() ?? '').slice(-longestLine);
      lines = [...lines, ...parts.slice(-mostLines).map((line) => line.slice(-longestLine))].slice(-mostLines);
    },
    training(now) {
      return {
        last,
        step,
        epoch,
        stepsPerSecond: rateOf([recent], (record) => record.step),
        secondsPerEpoch: epochs.seconds(),
        epochsDone: epochs.done(Math.max(now, recent.at(-1)?.t ?? 0)),
        curves,
        newest: recent,
      };
    },
    lines: () =>
      [...lines, streams.err.open, streams.out.open]
        .slice(-mostLines)
        .filter((line, at, all) => at < all.length - 2 || line !== '')
        .map(asOnTerminal),
  };
}

/** When there are too many, every second one goes: the whole course stays in sight. */
function withPoint(points: Point[], point: Point): Point[] {
  points.push(point);
  return points.length > mostPoints ? points.filter((_, at) => at % 2 === 0 || at > mostPoints - 100) : points;
}

/** What a carriage return has written over is gone, colours are left out. */
function asOnTerminal(line: string): string {
  const parts = stripVTControlCharacters(line).split('\r');
  return parts.findLast((part) => part !== '') ?? '';
}

export function gpuHistory(samples: readonly TelemetrySample[], index: number, pick: (gpu: GpuSample) => number | null): (number | null)[] {
  return samples.map(({ gpus }) => {
    const gpu = gpus.find((each) => each.index === index);
    return gpu === undefined ? null : pick(gpu);
  });
}
