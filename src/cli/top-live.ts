/** `top` as people see it: events in, pictures out, and what the keys do. */
import type { Clock } from '../core/clock.ts';
import { toGpuRunError } from '../core/errors.ts';
import { jobIdOf } from '../core/job.ts';
import type { Report } from '../core/reporter.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { cancel } from '../workflows/cancel.ts';
import type { RunContext } from '../workflows/context.ts';
import { saysInOrder } from '../workflows/end-reason.ts';
import { openTop, type Top } from '../workflows/top.ts';
import { createTopModel, type TopView } from '../workflows/top-model.ts';
import { endLine } from './render/job-view.ts';
import { harmless } from './render/text.ts';
import { calm, type Mood, renderTop } from './render/top-frame.ts';
import type { Look } from './render/top-look.ts';
import { openTerminal, type Terminal, type TerminalParts } from './top-terminal.ts';

export interface LiveParts extends Omit<TerminalParts, 'onKey' | 'onChange'> {
  readonly look: Look;
}

const lookEveryMs = 1_000;
const drawEveryMs = 200;
/** Answers to questions, and what came of them. */
const messageMs = 6_000;

/**
 * Until somebody leaves, or the machine has gone in order; a cancel that was asked for before that is brought to its end.
 * @throws GpuRunError of a machine that can't be reached at first, or is gone; `interrupted` after a signal; why the last cancel failed
 */
export async function runLive(machine: MachineEntry, context: RunContext, parts: LiveParts): Promise<void> {
  const cancelling = new Map<string, Cancelling>();
  const say = (text: string) => context.reporter.report({ type: 'note', level: 'info', text });
  for (const line of await watch(machine, context, parts, cancelling)) say(line);
  for (const [jobId, { done, asked }] of cancelling) {
    say(`Cancelling ${jobId} ...`);
    const isAsked = await Promise.race([done.then(() => false), asked.then(() => true)]);
    if (isAsked) say('It has time to save its work. Ctrl-C leaves: the machine goes on with it.');
    await done.catch((error: unknown) => {
      if (isAsked && context.signal.aborted) say(`${jobId} is cancelled all the same; gpu-run status tells when it has ended.`);
      throw error;
    });
    say(`${jobId} was cancelled.`);
  }
}

interface Cancelling {
  readonly done: Promise<void>;
  /** Fulfilled once the machine knows of it. */
  readonly asked: Promise<void>;
}

/** Returns what to say at the end. @param cancelling the jobs that are being cancelled; a failure is told here as long as there is a picture */
async function watch(machine: MachineEntry, context: RunContext, parts: LiveParts, cancelling: Map<string, Cancelling>): Promise<readonly string[]> {
  const left = new AbortController();
  const signal = AbortSignal.any([context.signal, left.signal]);
  const live = createLive(left);
  const reporter: RunContext['reporter'] = { report: (report) => (left.signal.aborted ? context.reporter.report(report) : live.say(reportText(report))) };
  const model = createTopModel();
  using terminal = openTerminal({ ...parts, onKey: (key) => live.key(key), onChange: () => live.draw() });
  const top = openTop({ machine, everyMs: lookEveryMs, looks: null }, { ...context, signal, reporter }, (event) => {
    model.apply(event);
    live.touch();
  });
  live.begin({
    top,
    terminal,
    view: model.view,
    look: parts.look,
    clock: context.clock,
    cancel: (jobId) => {
      const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>();
      const done = cancel({ jobId, graceMs: null, onAsked }, { ...context, reporter }).then(() => {}); // leaving does not stop it
      cancelling.set(jobId, { done, asked });
      const forget = () => !left.signal.aborted && cancelling.get(jobId)?.done === done && cancelling.delete(jobId);
      done.then(forget, forget);
      return done;
    },
  });
  const timer = setInterval(live.tick, drawEveryMs);
  try {
    await top.done;
  } catch (error) {
    if (left.signal.aborted) return [];
    if (!saysInOrder(context.ledger.get(machine.id)?.endReason ?? null)) throw error;
    return [toGpuRunError(error).message, ...lastWords(model.view()?.job?.id, context)];
  } finally {
    clearInterval(timer);
  }
  return [];
}

function lastWords(runnerJob: string | undefined, { ledger }: RunContext): string[] {
  const job = runnerJob === undefined ? null : ledger.getJob(jobIdOf(runnerJob));
  return job === null ? [] : [endLine(job), `gpu-run report ${job.id}   shows how it used the machine`];
}

interface Stage {
  readonly top: Top;
  readonly terminal: Terminal;
  readonly view: () => TopView | null;
  readonly look: Look;
  readonly clock: Clock;
  readonly cancel: (jobId: string) => Promise<void>;
}

interface Live {
  begin(stage: Stage): void;
  key(key: string): void;
  say(text: string | null): void;
  touch(): void;
  draw(): void;
  tick(): void;
}

function createLive(left: AbortController): Live {
  let stage: Stage | null = null;
  let mood: Mood = calm;
  let asked: string | null = null;
  let held: { readonly view: TopView; readonly at: number } | null = null;
  let isStale = true;
  let drawnAt = 0;
  let saidAt = 0;

  const draw = () => {
    if (stage === null) return;
    const now = stage.clock.now();
    const view = held?.view ?? stage.view();
    if (view === null) return;
    isStale = false;
    drawnAt = now;
    stage.terminal.draw(renderTop(view, held?.at ?? now, stage.terminal.size(), stage.look, mood));
  };
  const say = (text: string | null) => {
    saidAt = stage?.clock.now() ?? 0;
    mood = { ...mood, message: text };
    isStale = true;
  };
  const hold = () => {
    const view = stage?.view() ?? null;
    held = held === null && view !== null && stage !== null ? { view, at: stage.clock.now() } : null;
    mood = { ...mood, paused: held !== null };
  };
  const answer = (key: string) => {
    const job = asked;
    asked = null;
    if (job === null || stage === null) return;
    if (key !== 'y') return say('Nothing was cancelled.');
    say(`Cancelling ${job} ...`);
    stage.cancel(job).then(
      () => say(`${job} was cancelled.`),
      (error: unknown) => say(`${job} could not be cancelled: ${toGpuRunError(error).message}`),
    );
  };
  const askToCancel = () => {
    const { job = null, jobs = [] } = stage?.view() ?? {};
    if (jobs.every(({ state }) => state === 'ended')) return say('No job runs that could be cancelled.');
    if (job === null || job.state === 'ended') return say('This job has ended. Choose another one first: tab, or its number.');
    asked = jobIdOf(job.id);
    say(`Cancel ${asked}? y: yes   any other key: no`);
  };
  const choose = (pick: (jobs: readonly string[], at: number) => string | undefined) => {
    const view = stage?.view();
    const ids = view?.jobs.slice(-9).map(({ id }) => id) ?? [];
    const id = pick(ids, ids.indexOf(view?.job?.id ?? ''));
    if (id === undefined) say('There is no such job here.');
    else stage?.top.choose(id);
  };
  const keys: Readonly<Record<string, () => void>> = {
    q: () => left.abort(),
    '\u0003': () => left.abort(),
    '\u0004': () => left.abort(),
    l: () => {
      mood = { ...mood, bigLog: !mood.bigLog, help: false };
    },
    '?': () => {
      mood = { ...mood, help: !mood.help };
    },
    h: () => {
      mood = { ...mood, help: !mood.help };
    },
    p: hold,
    ' ': hold,
    c: askToCancel,
    '\t': () => choose((ids, at) => ids[(at + 1) % Math.max(1, ids.length)]),
    '\f': () => stage?.terminal.forget(),
  };
  return {
    begin: (given) => {
      stage = given;
    },
    key: (key) => {
      if (asked !== null && key !== '\u0003') answer(key);
      else if (/^[1-9]$/.test(key)) choose((ids) => ids[Number(key) - 1]);
      else keys[key]?.();
      draw();
    },
    say,
    touch: () => {
      isStale = true;
    },
    draw,
    tick: () => {
      const now = stage?.clock.now() ?? 0;
      if (mood.message !== null && asked === null && now - saidAt > messageMs) say(null);
      if (isStale || now - drawnAt >= 1_000) draw();
    },
  };
}

/** Of what the workflows report, what does not show in the picture anyway. */
function reportText(report: Report): string | null {
  return report.type === 'note' ? harmless(report.text) : null;
}
