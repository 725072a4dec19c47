/** What a job has shown on its way, for whoever has to know it at its end. */
import type { OnJobEvent } from './job-event.ts';

export interface Watched {
  readonly last: Record<string, number>;
  /** How far the logs were shown. */
  readonly logEnds: { readonly out: number; readonly err: number };
  /** Whether it has saved checkpoints: also where nothing of that could be kept on this computer. */
  readonly hasSaved: () => boolean;
  readonly onEvent: OnJobEvent;
}

export function watchEvents(onEvent: OnJobEvent): Watched {
  const last: Record<string, number> = {};
  const logEnds = { out: 0, err: 0 };
  let hasSaved = false;
  return {
    last,
    logEnds,
    hasSaved: () => hasSaved,
    onEvent: (event) => {
      if (event.type === 'checkpoint') hasSaved = true;
      if (event.type === 'log') logEnds[event.stream ?? 'out'] = event.offset + event.bytes.length;
      if (event.type === 'metric') {
        Object.assign(last, event.values);
        if (event.step !== null) last['step'] = event.step;
        if (event.epoch !== null) last['epoch'] = event.epoch;
      }
      return onEvent(event);
    },
  };
}
