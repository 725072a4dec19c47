/** Where a job's events go: to the terminal as they are, or as JSON Lines. */

import { createJobView, type JobView } from './render/job-view.ts';
import { createEventWriter } from './render/json-events.ts';
import type { ProgressView } from './render/progress-view.ts';
import type { Screen } from './screen.ts';

/** `states`: say when the job is queued, runs its setup, runs. */
export function createJobOutput(screen: Screen, progress: ProgressView, { states }: { readonly states: boolean }): JobView {
  const { mode, out, err } = screen;
  const view = createJobView({
    out: out.write,
    err: err.write,
    style: screen.errStyle,
    progress,
    sameTerminal: out.isTerminal && err.isTerminal,
    states: states && !mode.quiet,
  });
  return mode.json ? { onEvent: createEventWriter(out.write), print: view.print } : view;
}
