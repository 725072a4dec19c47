/** Metrics of attempts whose machine took their files with it: written among the outputs from the records that are here. */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { eventFileHead } from '../protocol/event-file.ts';
import { type MetricsPlace, metricsPlace } from '../protocol/metric-files.ts';
import { eventEncoder, lineOf, type MetricRecord } from '../protocol/metric-lines.ts';
import { placeSnapshot } from '../sync/place-snapshot.ts';
import type { PulledFile } from '../sync/pull.ts';
import type { RunContext } from './context.ts';
import { isCutShort } from './end-reason.ts';
import { copiedRecords } from './job-copy.ts';
import { isGone } from './reach-machine.ts';
import type { TrainInput } from './train-input.ts';

/**
 * Of the attempts before the present one, and of this one where its machine went from under it, and not behind it: as far as it was followed. Files
 * that were pulled stay as they are. Never fails: what can't be written is said, and so are those of the present one, which is no result that would
 * name them. Returns what was written.
 */
export async function layMetrics(outcome: Outcome, { outputs, folder }: Project, context: RunContext): Promise<readonly PulledFile[]> {
  const { job } = outcome;
  const { home, reporter, ledger } = context;
  if (job === null || metricsPlace({ id: job.id, attempt: 1, createdAt: 0, outputs }) === null) return [];
  const isLost = job.state === 'ended' && ledger.get(job.machineId)?.state === 'gone' && (isCutShort(job) || isGone(outcome.failure));
  const until = (job.earlier ?? []).length + (isLost ? 1 : 0);
  if (until === 0) return [];
  const made = join(home.jobs, job.id, 'metrics');
  try {
    rmSync(made, { recursive: true, force: true });
    const { place, last } = writeAttempts(job, until, { outputs, folder }, made, home.jobs);
    if (place === null) return [];
    await placeSnapshot(made, place.folder, folder, new AbortController().signal);
    if (last > (job.earlier ?? []).length) {
      const text = `Metrics of ${job.id}, as far as they came before its machine was gone, are in ${join(folder, place.folder)}`;
      reporter.report({ type: 'note', level: 'info', text });
    }
    return readdirSync(join(made, place.folder)).map((name) => {
      const bytes = readFileSync(join(made, place.folder, name));
      return { path: `${place.folder}/${name}`, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    });
  } catch (error) {
    const text = `Metrics of ${job.id} from machines that are gone could not be put into ${folder}: ${toGpuRunError(error).message}`;
    reporter.report({ type: 'note', level: 'warn', text });
    return [];
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

type Project = Pick<TrainInput, 'outputs' | 'folder'>;

interface Outcome {
  readonly job: JobEntry | null;
  /** Why it is no result, such as a machine that went while the outputs were being fetched. */
  readonly failure: GpuRunError | null;
}

interface Written {
  /** null: there was nothing to write. */
  readonly place: MetricsPlace | null;
  /** The last attempt of which something was written. */
  readonly last: number;
}

/** Attempts up to `until`, below `made`, as they are to lie below `folder`. */
function writeAttempts(job: JobEntry, until: number, { outputs, folder }: Project, made: string, jobsFolder: string): Written {
  const ends = (job.earlier ?? []).map(({ records }) => records);
  let written: Written = { place: null, last: 0 };
  let begun = 0;
  let own: MetricsPlace | null = null;
  let files: AttemptFiles | null = null;
  for (const record of copiedRecords(jobsFolder, job.id)) {
    const attempt = ends.findIndex((end) => record.n <= end) + 1 || ends.length + 1;
    if (attempt > until) break;
    if (attempt !== begun) {
      files?.flush();
      begun = attempt;
      own = metricsPlace({ id: job.id, attempt, createdAt: record.t, outputs });
      files = own === null || isHere(own, attempt, folder) ? null : attemptFiles(made, own, record.t);
    }
    if (record.type !== 'metric' || files === null) continue;
    files.add(record);
    written = { place: own, last: attempt };
  }
  files?.flush();
  return written;
}

interface AttemptFiles {
  add(record: MetricRecord): void;
  flush(): void;
}

const mostPending = 1_000;

function attemptFiles(made: string, place: MetricsPlace, startedAt: number): AttemptFiles {
  const encode = eventEncoder();
  const events: Buffer[] = [eventFileHead(startedAt / 1000)];
  const lines: Buffer[] = [];
  const flush = () => {
    if (lines.length === 0) return;
    mkdirSync(join(made, place.folder), { recursive: true });
    appendFileSync(join(made, place.lines), Buffer.concat(lines.splice(0)));
    appendFileSync(join(made, place.events), Buffer.concat(events.splice(0)));
  };
  return {
    add(record) {
      lines.push(lineOf(record));
      events.push(encode(record));
      if (lines.length >= mostPending) flush();
    },
    flush,
  };
}

/** The second in the name is that of the machine, which we don't know. */
function isHere({ folder: name, lines }: MetricsPlace, attempt: number, folder: string): boolean {
  if (existsSync(join(folder, lines))) return true;
  return existsSync(join(folder, name)) && readdirSync(join(folder, name)).some((file) => file.endsWith(`.gpu-run.${attempt}`));
}
