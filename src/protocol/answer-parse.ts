/** Checks what a runner answers before anybody acts on it or keeps it. Imports its own folder only. */
import type { CallName, Calls } from './calls.ts';
import { FrameError } from './frame.ts';
import type { JobSummary } from './job.ts';
import { isEnd, isState } from './job-parse.ts';
import { isCount, isFields, isListOf, isNullOr, isText, isTime } from './shape.ts';

type Check = (value: unknown) => boolean;

const isAnything: Check = () => true;

/** What `preflight` finds is checked by its own parser. Of `hello`: what anybody here goes by. */
const answers: Readonly<Record<CallName, Check>> = {
  hello: (value) => isFields(value) && isTime(value['now']) && [value['root'], value['workdir'], value['runnerVersion']].every(isText),
  gpus: (value) => isFields(value) && isListOf(isGpu, value['gpus']) && isNullOr(isText, value['problem']),
  preflight: isAnything,
  submit: (value) => isJobSummary(value) && isCount((value as { readonly ahead?: unknown }).ahead),
  jobs: (value) => isFields(value) && isListOf(isJobSummary, value['jobs']),
  follow: isAnything,
  telemetry: isAnything,
  seek: (value) => isFields(value) && isCount(value['offset']) && isCount(value['bytes']) && value['offset'] <= value['bytes'] && isNullOr(isGap, value['gap']),
  cancel: isJobSummary,
  arm: (value) => isFields(value) && isCount(value['pid']) && isNullOr(isText, value['powerOff']) && isNullOr(isText, value['problem']),
  shutdown: isAnything,
};

/** @throws FrameError when it is no answer to that call */
export function parseAnswer<Op extends CallName>(op: Op, value: unknown): Calls[Op]['result'] {
  if (!answers[op](value)) throw new FrameError(`the answer to ${op} has the wrong shape`);
  return value as Calls[Op]['result'];
}

export function isJobSummary(value: unknown): value is JobSummary {
  if (!isFields(value)) return false;
  const { id, attempt, state, end, command, createdAt, startedAt, endedAt, gpus, givenGpus, waitsFor, logBytes, errBytes = 0, records } = value;
  const isItself = isText(id) && isText(command) && isCount(attempt) && isState(state) && (state === 'ended' ? isEnd(end) : end === null);
  const hasTimes = isTime(createdAt) && isNullOr(isTime, startedAt) && isNullOr(isTime, endedAt);
  const hasGpus = isNullOr(isCount, gpus) && isNullOr((list) => isListOf(isCount, list), givenGpus);
  return isItself && hasTimes && hasGpus && isNullOr(isText, waitsFor) && [logBytes, errBytes, records].every(isCount);
}

function isGap(value: unknown): boolean {
  return isFields(value) && isCount(value['from']) && isCount(value['to']) && value['from'] <= value['to'];
}

function isGpu(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { index, name, uuid, memoryBytes, driver } = value;
  return isCount(index) && isText(name) && isText(uuid) && isNullOr(isCount, memoryBytes) && isNullOr(isText, driver);
}
