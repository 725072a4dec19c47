/** A job's events as they come: its stdout to ours and its stderr to ours, unchanged unless something else was asked for; everything of ours to stderr. */
import type { JobEntry, JobState } from '../../core/job.ts';
import { formatUsd } from '../../core/money.ts';
import { formatSize } from '../../core/size.ts';
import type { LogStream } from '../../protocol/log.ts';
import type { JobEvent, OnJobEvent } from '../../workflows/job-event.ts';
import { chain, type LineFilter, type Timed } from './log-lines.ts';
import type { ProgressView } from './progress-view.ts';
import { paragraph, warningLine } from './sentence.ts';
import type { Style } from './style.ts';
import { harmless, span } from './text.ts';

export interface JobViewParts {
  readonly out: (bytes: Uint8Array) => Promise<void>;
  readonly err: (data: string | Uint8Array) => Promise<void>;
  readonly style: Style;
  /** Columns for lines of ours; absent: endless. */
  readonly width?: () => number;
  /** Gives way to the log. */
  readonly progress: Pick<ProgressView, 'clear' | 'wrote'>;
  /** Both streams end on one terminal: a line of ours must not be glued to an unfinished line of the log. */
  readonly sameTerminal: boolean;
  /** A line of one stream is not written behind an unfinished one of the other; absent: each byte as it is. */
  readonly ownLines?: boolean;
  /** State changes are shown. Warnings always are. */
  readonly states: boolean;
  /** Without `states`: where the log goes on with another attempt is said all the same; absent: it is not. */
  readonly attempts?: boolean;
  /** What the log goes through, one a stream; absent: through nothing. */
  readonly filter?: () => LineFilter;
}

export interface JobView {
  readonly onEvent: OnJobEvent;
  /** A line of ours, behind the log. */
  print(line: string): Promise<void>;
}

/** Every job is queued for a moment: who has to wait is told by the workflow. */
const stateLines: Readonly<Record<Exclude<JobState, 'ended' | 'queued'>, string>> = {
  setup: 'running setup',
  running: 'running',
  cancelling: 'being told to end',
};

export function createJobView(parts: JobViewParts): JobView {
  const {
    out,
    err,
    style,
    progress,
    sameTerminal,
    ownLines = false,
    states,
    attempts = false,
    width = () => Number.POSITIVE_INFINITY,
    filter = () => chain([]),
  } = parts;
  const filters = { out: filter(), err: filter() };
  let midLine = false;
  let last: LogStream = 'out';
  let attempt = 0;
  let hasWritten = false;
  const write = async (stream: LogStream, pieces: readonly Timed[]) => {
    for (const { bytes } of pieces) {
      if (bytes.length === 0) continue;
      progress.clear();
      if (ownLines && sameTerminal && midLine && stream !== last) await err('\n');
      last = stream;
      await (stream === 'out' ? out(bytes) : err(bytes));
      hasWritten = true;
      midLine = bytes.at(-1) !== 0x0a;
      progress.wrote(midLine && sameTerminal);
    }
  };
  const flush = async () => {
    for (const stream of ['out', 'err'] as const) await write(stream, filters[stream].rest());
  };
  const printLine = async (line: string) => {
    progress.clear();
    await err(`${midLine && sameTerminal ? '\n' : ''}${line}\n`);
    midLine = false;
    progress.wrote(false);
  };
  const showState = async (state: JobState) => {
    if (state === 'ended' || state === 'queued') await flush();
    if (state === 'queued') {
      attempt += 1;
      if (attempts && !states && attempt > 1 && hasWritten) await printLine(style.dim(`[attempt ${attempt}]`));
    } else if (state !== 'ended' && states) await printLine(style.dim(`[${stateLines[state]}${attempt > 1 ? `, attempt ${attempt}` : ''}]`));
  };
  const warning = (text: string) => warningLine(text, style, width());
  return {
    print: async (line) => {
      await flush();
      await printLine(paragraph(line, width()));
    },
    onEvent: async (event) => {
      if (event.type === 'log') {
        const { stream = 'out', bytes, at = null } = event;
        await write(stream, filters[stream].push({ bytes, at }));
      } else if (event.type === 'gap') {
        await printLine(warning(gapLine(event)));
      } else if (event.type === 'note') {
        await printLine(event.level === 'warn' ? warning(harmless(event.text)) : style.dim(paragraph(harmless(event.text), width())));
      } else if (event.type === 'state') {
        await showState(event.state);
      }
    },
  };
}

/** On the machine, the disk had no room for them any more. */
function gapLine({ stream, from, to }: Extract<JobEvent, { readonly type: 'gap' }>): string {
  const which = stream === 'err' ? "the log's stderr" : 'the log';
  return `bytes ${from} to ${to} of ${which} (${formatSize(to - from)}) are gone: it had outgrown its limit on the machine`;
}

/** `job-20261121-k3v9xq ended with exit code 0 after 12s on local (cost $0.00)`. `where` and the cost are left out where they are not known. */
export function endLine(job: JobEntry, where: string | null = null, usd: number | null = null): string {
  const nth = job.attempts > 1 ? ` in attempt ${job.attempts}` : '';
  const took = job.startedAt === null || job.endedAt === null ? '' : ` after ${shortSpan((job.endedAt - job.startedAt) / 1000)}`;
  const place = where === null ? '' : ` on ${where}`;
  const cost = usd === null ? '' : ` (cost ${formatUsd(usd)})`;
  const isEarly = job.end?.reason === 'cancelled' && job.startedAt === null;
  const detail = isEarly ? ' before it started' : job.end?.detail ? `: ${job.end.detail}` : '';
  return harmless(`${job.id} ${howItStands(job)}${nth}${took}${place}${cost}${detail}`);
}

/** Short jobs are told apart by tenths. */
function shortSpan(seconds: number): string {
  return seconds < 9.95 ? `${seconds.toFixed(1)}s` : span(seconds);
}

/** `ended with exit code 3`, `was cancelled`, `is running`. */
function howItStands({ state, end }: Pick<JobEntry, 'state' | 'end'>): string {
  if (state !== 'ended' || end === null)
    return state === 'queued' ? 'is waiting in the queue' : state === 'ended' ? 'ended' : `is ${state === 'setup' ? 'running its setup' : state}`;
  const code = end.code === null ? '' : ` with exit code ${end.code}`;
  switch (end.reason) {
    case 'exit':
      return `ended${code}`;
    case 'signal':
      return `was killed by ${end.signal ?? 'a signal'}, ended${code}`;
    case 'cancelled':
      return 'was cancelled';
    case 'setup':
      return `did not start: its setup failed${code}`;
    case 'not-started':
      return end.code === null ? 'could not be started' : `could not be started (exit code ${end.code})`;
    case 'lost':
      return 'was lost';
    case 'preempted':
      return `was preempted${code === '' ? '' : `, ended${code}`}`;
    case 'deadline':
      return "was ended by the machine's deadline";
    case 'budget':
      return 'was ended because the budget is used up';
    case 'stalled':
      return 'was ended because it had stalled';
  }
}
