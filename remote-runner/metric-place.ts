/**
 * How far a job's log was read for metrics. Each record says so; but a log may be long without any, and a runner that takes the job over
 * is not to read it all again.
 */
import { isDiskFull } from './ballast.ts';
import { readText, writeDurably } from './durable.ts';
import type { JournalFacts } from './journal.ts';
import type { JobFolder } from './machine-folder.ts';
import type { MetricPlace } from './metric-filter.ts';
import type { MetricReader } from './metrics.ts';

/** So much may be read again. */
const spacingBytes = 16 * 1024 * 1024;

export function metricPlace(job: JobFolder, facts: JournalFacts): MetricPlace {
  return { ...facts, logMetricsAt: Math.max(facts.logMetricsAt, notedAt(job)) };
}

/** To be called once all records that were read are on the disk. */
export function noteMetricPlace(job: JobFolder, { logAt }: MetricReader, facts: JournalFacts): void {
  if (logAt === null || logAt - facts.logMetricsAt < spacingBytes || logAt - notedAt(job) < spacingBytes) return;
  try {
    writeDurably(job.metricsAt, String(logAt));
  } catch (error) {
    if (!isDiskFull(error)) throw error; // then more is read again
  }
}

function notedAt({ metricsAt }: JobFolder): number {
  const text = readText(metricsAt);
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : 0;
}
