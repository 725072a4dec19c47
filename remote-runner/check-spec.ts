/** Looks at an ordered job before anything of it is written: what comes over the wire is only believed after this. */
import { type JobSpec, preemptSignals } from '../src/protocol/job.ts';
import { isFields, isText } from '../src/protocol/shape.ts';
import { RunnerError } from './runner-error.ts';

/** @throws RunnerError bad-input, naming the field */
export function checkSpec(value: unknown): JobSpec {
  const spec = value as JobSpec;
  need(isFields(value), 'the job');
  need(typeof spec.id === 'string', 'id');
  need(Number.isSafeInteger(spec.attempt) && spec.attempt >= 1, 'attempt');
  checkCommand(spec);
  need(spec.setup === null || isPassable(spec.setup), 'setup');
  for (const field of ['env', 'secrets'] as const) {
    need(isFields(spec[field]), field);
    // Values are never named in a message: they may be secrets.
    for (const [name, text] of Object.entries(spec[field])) need(/^[^=\0]+$/.test(name) && isPassable(text), `${field} ${JSON.stringify(name)}`);
  }
  need(Array.isArray(spec.outputs) && spec.outputs.every(isPassable), 'outputs');
  need(isFields(spec.metrics), 'metrics');
  for (const [name, pattern] of Object.entries(spec.metrics)) need(isPattern(pattern), `metrics ${JSON.stringify(name)}`);
  need(Number.isFinite(spec.graceMs) && spec.graceMs >= 0, 'graceMs');
  need(spec.resumeFrom === null || isBelow(spec.resumeFrom), 'resumeFrom');
  need(spec.name === undefined || (isPassable(spec.name) && spec.name !== ''), 'name');
  need(spec.checkpoints === undefined || isBelow(spec.checkpoints), 'checkpoints');
  need(spec.preemptSignal === undefined || preemptSignals.includes(spec.preemptSignal), 'preemptSignal');
  need(spec.splitLog === undefined || typeof spec.splitLog === 'boolean', 'splitLog');
  need(spec.logLimit === undefined || (Number.isSafeInteger(spec.logLimit) && spec.logLimit > 0), 'logLimit');
  need(spec.gpus === null || (Number.isSafeInteger(spec.gpus) && spec.gpus >= 1), 'gpus');
  return spec;
}

function checkCommand({ command }: JobSpec): void {
  need(isFields(command) && (command.kind === 'argv' || command.kind === 'shell'), 'command');
  if (command.kind === 'shell') need(isPassable(command.text) && command.text.trim() !== '', 'command');
  else need(Array.isArray(command.argv) && command.argv.length > 0 && command.argv.every(isPassable), 'command');
}

function need(condition: boolean, field: string): void {
  if (!condition) throw new RunnerError('bad-input', `The runner can't start this job: ${field} is missing or not valid.`);
}

/** NUL can't be passed to a program. */
function isPassable(value: unknown): value is string {
  return isText(value) && !value.includes('\0');
}

/** A path that does not leave the workdir by itself. */
function isBelow(value: unknown): boolean {
  return isPassable(value) && !(value as string).startsWith('/') && !(value as string).split('/').includes('..');
}

function isPattern(value: unknown): boolean {
  if (!isText(value)) return false;
  try {
    new RegExp(value);
    return true;
  } catch {
    return false;
  }
}
