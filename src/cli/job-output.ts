/** Where a job's events go: to the terminal as they are, or as JSON Lines. */

import { createCutBars } from './render/cut-bars.ts';
import { createFold } from './render/fold-bars.ts';
import { createJobView, type JobView } from './render/job-view.ts';
import { createEventWriter } from './render/json-events.ts';
import { chain, createClockColumn } from './render/log-lines.ts';
import type { ProgressView } from './render/progress-view.ts';
import type { Screen } from './screen.ts';

export interface JobOutputChoices {
  /** Say when the job is queued, runs its setup, runs. */
  readonly states: boolean;
  /** Each line of the log with its time: its events must have theirs. */
  readonly timestamps: boolean;
  /** Progress bars as single lines; undefined: in CI, where nobody watches them move, unless the output goes to a file. */
  readonly fold: boolean | undefined;
}

export function createJobOutput(screen: Screen, progress: ProgressView, { states, timestamps, fold }: JobOutputChoices): JobView {
  const { mode, out, err } = screen;
  const folds = fold ?? (screen.continuousIntegration && !out.isTerminal && !out.isFile);
  const view = createJobView({
    out: out.write,
    err: err.write,
    style: screen.errStyle,
    progress,
    sameTerminal: out.isTerminal && err.isTerminal,
    ownLines: timestamps,
    states: states && !mode.quiet,
    attempts: !mode.quiet,
    width: err.width,
    filter: () =>
      chain([
        ...(folds ? [createFold(Date.now)] : []),
        ...(timestamps ? [createClockColumn()] : []),
        ...(timestamps && out.isTerminal ? [createCutBars(out.columns)] : []),
      ]),
  });
  return mode.json ? { onEvent: createEventWriter(out.write), print: view.print } : view;
}
