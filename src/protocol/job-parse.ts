/** Checks what a runner tells of a job before anybody acts on it or keeps it. Imports its own folder only. */
import type { Calls } from './calls.ts';
import { FrameError } from './frame.ts';
import type { EndReason, JobEnd, JobRecord, JobState, MetricSource } from './job.ts';
import type { LogStream, TimeMark } from './log.ts';
import { type Fields, isCount, isFields, isNullOr, isNumber, isText, isTime } from './shape.ts';
import { isTelemetrySpan } from './telemetry-parse.ts';

const states: ReadonlySet<unknown> = new Set<JobState>(['queued', 'setup', 'running', 'cancelling', 'ended']);
const reasons: ReadonlySet<unknown> = new Set<EndReason>([
  'exit',
  'signal',
  'cancelled',
  'setup',
  'not-started',
  'lost',
  'deadline',
  'budget',
  'stalled',
  'preempted',
]);
const sources: ReadonlySet<unknown> = new Set<MetricSource>(['file', 'json', 'regex', 'hugging-face', 'keras', 'lightning', 'tqdm', 'pairs']);

export type FollowEvent = Exclude<Calls['follow']['event'], { readonly type: 'heartbeat' }>;

/** An event of `follow`; null: a sign of life, or a kind of event that a later runner has. @throws FrameError */
export function parseFollowEvent(event: unknown): FollowEvent | null {
  check(isFields(event) && typeof event['type'] === 'string', 'an event');
  switch (event['type']) {
    case 'records':
      check(Array.isArray(event['records']), 'records');
      return { type: 'records', records: event['records'].map(parseJobRecord) };
    case 'stream':
      check(isStream(event['stream']), 'a stream');
      return { type: 'stream', stream: event['stream'] };
    case 'times':
      check(isStream(event['stream']) && Array.isArray(event['marks']) && event['marks'].every(isMark), 'times');
      return { type: 'times', stream: event['stream'], marks: event['marks'] };
    case 'gap':
      check(isStream(event['stream']) && isCount(event['from']) && isOffset(event['to']) && event['from'] < event['to'], 'a gap');
      return { type: 'gap', stream: event['stream'], from: event['from'], to: event['to'] };
    case 'differs':
      check(isStream(event['stream']) && isCount(event['from']), 'a log that differs');
      return { type: 'differs', stream: event['stream'], from: event['from'] };
    default:
      return null;
  }
}

function isStream(value: unknown): value is LogStream {
  return value === 'out' || value === 'err';
}

/** In a log. Files of marks and gaps hold so many digits. */
function isOffset(value: unknown): value is number {
  return isCount(value) && value < 1e15;
}

function isMark(value: unknown): value is TimeMark {
  return Array.isArray(value) && value.length === 2 && isOffset(value[0]) && isTime(value[1]);
}

/** @throws FrameError when it is none */
export function parseJobRecord(value: unknown): JobRecord {
  check(isFields(value) && isCount(value['n']) && value['n'] > 0 && isTime(value['t']), 'a record');
  check(isKnown(value), `a record of type ${JSON.stringify(value['type'])?.slice(0, 50)}`);
  return value as JobRecord;
}

function isKnown(record: Fields): boolean {
  switch (record['type']) {
    case 'state':
      return (
        isState(record['state']) && isCount(record['logOffset']) && isCount(record['errOffset'] ?? 0) && (record['state'] !== 'ended' || isEnd(record['end']))
      );
    case 'metric':
      return isMetric(record);
    case 'note':
      return (record['level'] === 'info' || record['level'] === 'warn') && typeof record['text'] === 'string';
    case 'telemetry':
      return isTelemetrySpan(record['span']);
    case 'checkpoint':
      return isText(record['path']) && isCount(record['bytes']) && isTime(record['beganAt']) && isTime(record['endedAt']);
    default:
      return false;
  }
}

function isMetric({ values, step, epoch, source, at }: Fields): boolean {
  return (
    isFields(values) && Object.values(values).every(isNumber) && isNullOr(isNumber, step) && isNullOr(isNumber, epoch) && sources.has(source) && isCount(at)
  );
}

export function isState(value: unknown): value is JobState {
  return states.has(value);
}

export function isEnd(value: unknown): value is JobEnd {
  return (
    isFields(value) &&
    isNullOr(isCount, value['code']) &&
    isNullOr(isText, value['signal']) &&
    reasons.has(value['reason']) &&
    isNullOr(isText, value['detail'])
  );
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new FrameError(`${what} of a job has the wrong shape`);
}
