/** `top`: what a machine does now: its GPUs, its host, its jobs, one of them with metrics and log. Connects again by itself until it is left. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunnerClient } from '../runner/client.ts';
import { watchTelemetry } from '../runner/telemetry.ts';
import type { RunContext } from './context.ts';
import { reachOrLose } from './reach-machine.ts';
import type { LinkState, OnTopEvent } from './top-event.ts';
import { createFollower, type Follower, tellMachine } from './top-follow.ts';

export interface TopInput {
  readonly machine: MachineEntry;
  /** Between two looks at the machine, milliseconds. */
  readonly everyMs: number;
  /** So many looks, then the end; null: until it is left. */
  readonly looks: number | null;
}

export interface Top {
  /** Follow another job of the machine. */
  choose(id: string): void;
  /** Over after the looks that were asked for. @throws GpuRunError what `reachOrLose` says at first, later only of a machine that is gone; `interrupted` */
  readonly done: Promise<void>;
}

/** The runner looks once a second; where the driver is slow it may take some more. */
const silentAfterMs = 15_000;
const firstPauseMs = 500;
const longestPauseMs = 10_000;

/** Begins at once. */
export function openTop(input: TopInput, context: RunContext, onEvent: OnTopEvent): Top {
  const follower = createFollower(input.machine);
  return { choose: follower.choose, done: keepWatching(input, follower, context, onEvent) };
}

async function keepWatching(input: TopInput, follower: Follower, context: RunContext, onEvent: OnTopEvent): Promise<void> {
  const link = async (state: LinkState, text: string) => onEvent({ type: 'link', at: context.clock.now(), state, text });
  let pause = firstPauseMs;
  let reachedOnce = false;
  await tellMachine(input.machine, context, onEvent);
  await link('connecting', `Connecting to '${input.machine.name}'`);
  for (;;) {
    try {
      await using reached = await reachOrLose(context.ledger.get(input.machine.id) ?? input.machine, context);
      reachedOnce = true;
      pause = firstPauseMs;
      await link('connected', 'Connected');
      return await watchOnce(input, follower, reached.runner, context, onEvent);
    } catch (error) {
      context.signal.throwIfAborted();
      const failure = toGpuRunError(error);
      if (failure.code !== 'connection' || !reachedOnce) throw failure;
      await link('reconnecting', failure.message);
      await context.clock.sleep(pause, context.signal);
      pause = Math.min(pause * 2, longestPauseMs);
    }
  }
}

/** On one connection. */
async function watchOnce(input: TopInput, follower: Follower, runner: RunnerClient, outer: RunContext, onEvent: OnTopEvent): Promise<void> {
  const over = new AbortController();
  const context: RunContext = { ...outer, signal: AbortSignal.any([outer.signal, over.signal]) };
  let heardAt = context.clock.now();
  let waiting = 0;
  const tell: OnTopEvent = async (event) => {
    if (over.signal.aborted) return;
    waiting += 1;
    try {
      await onEvent(event);
    } finally {
      waiting -= 1;
      heardAt = context.clock.now();
    }
  };
  const heard = () => (waiting > 0 ? context.clock.now() : heardAt); // it is the reader who is slow
  if (input.looks !== null) {
    await follower.once(runner, context, tell);
    return await lookAround(input, runner, tell);
  }
  const parts = [lookAround(input, runner, tell), ...follower.keep(runner, context, tell), noticeSilence(heard, input.machine, context)];
  try {
    await Promise.race(parts);
  } finally {
    over.abort();
    for (const part of parts) part.catch(() => {}); // what ends now ends because of the first
  }
}

async function lookAround({ everyMs, looks }: TopInput, runner: RunnerClient, tell: OnTopEvent): Promise<void> {
  let count = 0;
  for await (const sample of watchTelemetry(runner, everyMs)) {
    await tell({ type: 'sample', sample });
    count += 1;
    if (looks !== null && count >= looks) return;
  }
}

/** A connection may die without a word. */
async function noticeSilence(heardAt: () => number, machine: MachineEntry, { clock, signal }: RunContext): Promise<never> {
  for (;;) {
    await clock.sleep(1_000, signal);
    if (clock.now() - heardAt() > silentAfterMs) throw new GpuRunError('connection', `'${machine.name}' does not answer.`, { retry: 'same' });
  }
}
