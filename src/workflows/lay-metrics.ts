/** Metrics of attempts whose machine took their files with it: written among the outputs from the records that are here. */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { toGpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { eventFileHead } from '../protocol/event-file.ts';
import { type MetricsPlace, metricsPlace } from '../protocol/metric-files.ts';
import { eventEncoder, lineOf, type MetricRecord } from '../protocol/metric-lines.ts';
import { placeSnapshot } from '../sync/place-snapshot.ts';
import type { PulledFile } from '../sync/pull.ts';
import type { RunContext } from './context.ts';
import { copiedRecords } from './job-copy.ts';
import type { TrainInput } from './train-input.ts';

/** Of the attempts before the present one. Files that were pulled stay as they are. Never fails: what can't be written is said. Returns what was written. */
export async function layMetrics(
  job: JobEntry | null,
  { outputs, folder }: Pick<TrainInput, 'outputs' | 'folder'>,
  context: RunContext,
): Promise<readonly PulledFile[]> {
  const { home, reporter } = context;
  if (job === null || (job.earlier ?? []).length === 0 || metricsPlace({ id: job.id, attempt: 1, createdAt: 0, outputs }) === null) return [];
  const made = join(home.jobs, job.id, 'metrics');
  try {
    rmSync(made, { recursive: true, force: true });
    const place = writeAttempts(job, outputs, folder, made, home.jobs);
    if (place === null) return [];
    await placeSnapshot(made, place.folder, folder, new AbortController().signal);
    return readdirSync(join(made, place.folder)).map((name) => {
      const bytes = readFileSync(join(made, place.folder, name));
      return { path: `${place.folder}/${name}`, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    });
  } catch (error) {
    const text = `Metrics of the earlier attempts of ${job.id} could not be put into ${folder}: ${toGpuRunError(error).message}`;
    reporter.report({ type: 'note', level: 'warn', text });
    return [];
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** Below `made`, as they are to lie below `folder`; null: there is nothing to write. */
function writeAttempts(job: JobEntry, outputs: readonly string[], folder: string, made: string, jobsFolder: string): MetricsPlace | null {
  const ends = (job.earlier ?? []).map(({ records }) => records);
  let place: MetricsPlace | null = null;
  let begun = 0;
  let files: AttemptFiles | null = null;
  for (const record of copiedRecords(jobsFolder, job.id)) {
    const attempt = ends.findIndex((end) => record.n <= end) + 1;
    if (attempt === 0) break;
    if (attempt !== begun) {
      files?.flush();
      begun = attempt;
      const own = metricsPlace({ id: job.id, attempt, createdAt: record.t, outputs });
      files = own === null || isHere(own, attempt, folder) ? null : attemptFiles(made, own, record.t);
      place ??= files === null ? null : own;
    }
    if (record.type === 'metric') files?.add(record);
  }
  files?.flush();
  return place;
}

interface AttemptFiles {
  add(record: MetricRecord): void;
  flush(): void;
}

const mostPending = 1_000;

/** Made with the first metric. */
function attemptFiles(made: string, place: MetricsPlace, startedAt: number): AttemptFiles {
  const encode = eventEncoder();
  const events: Buffer[] = [eventFileHead(startedAt / 1000)];
  const lines: Buffer[] = [];
  mkdirSync(join(made, place.folder), { recursive: true });
  const flush = () => {
    if (lines.length === 0) return;
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
