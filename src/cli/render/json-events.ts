/** A job's events as JSON Lines. */
import type { JobEvent, LogEvent } from '../../workflows/job-event.ts';
import { isoTime } from './documents.ts';

/**
 * One JSON object an event. Log bytes come as text: a character that two pieces share stands in the later one, bytes that are no
 * UTF-8 become U+FFFD. `offset` and `bytes` say which bytes a line stands for, `at` when the first of them came, where that is known;
 * `gpu-run logs` without `--json` gives them unchanged.
 */
export function createEventWriter(write: (line: string) => Promise<void>): (event: JobEvent) => Promise<void> {
  const decoders = { out: new TextDecoder('utf-8'), err: new TextDecoder('utf-8') };
  const decode = ({ stream = 'out', bytes }: LogEvent) => decoders[stream].decode(bytes, { stream: true });
  return async (event) => {
    const shown =
      event.type === 'log'
        ? { type: 'log', ...ofStream(event), ...timeOf(event), offset: event.offset, bytes: event.bytes.length, text: decode(event) }
        : toJson(event);
    await write(`${JSON.stringify(shown)}\n`);
  };
}

/** Only in jobs that keep stderr apart: else a log holds both. */
function ofStream({ stream }: { readonly stream?: LogEvent['stream'] }): object {
  return stream === 'err' ? { stream: 'stderr' } : {};
}

function timeOf({ at }: LogEvent): object {
  return typeof at === 'number' ? { at: isoTime(at) } : {};
}

function toJson(event: Exclude<JobEvent, { type: 'log' }>): object {
  if (event.type === 'gap') return { type: 'gap', ...ofStream(event), from: event.from, to: event.to };
  const at = isoTime(event.at);
  switch (event.type) {
    case 'metric':
      return { type: 'metric', at, values: event.values, step: event.step, epoch: event.epoch, source: event.source };
    case 'gpu':
      return { type: 'gpu', at, span: { ...event.span, from: isoTime(event.span.from), to: isoTime(event.span.to) } };
    case 'checkpoint':
      return { type: 'checkpoint', at, path: event.path, bytes: event.bytes, beganAt: isoTime(event.beganAt), endedAt: isoTime(event.endedAt) };
    case 'note':
      return { type: 'note', at, level: event.level, text: event.text };
    case 'state':
      return { type: 'state', at, state: event.state, exitCode: event.end?.code ?? null, signal: event.end?.signal ?? null, reason: event.end?.reason ?? null };
  }
}
