/**
 * Follows a job over dropped connections: every byte of the log once and in order, every record once. May import core, protocol
 * and the client.
 */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { Block, Part } from '../protocol/call-state.ts';
import { FrameError } from '../protocol/frame.ts';
import type { JobRecord } from '../protocol/job.ts';
import { type FollowEvent, parseFollowEvent } from '../protocol/job-parse.ts';
import type { LogProof, LogStream, TimeMark } from '../protocol/log.ts';
import { codecs } from '../protocol/packed.ts';
import type { OpenCall } from '../protocol/peer.ts';
import type { RunnerClient } from './client.ts';
import { createOutage, type Outage, type OutageOptions } from './outage.ts';
import { createReceived, type Received } from './received.ts';

/** `sentBytes`: how many they were on their way, packed or not. */
export interface LogPart {
  readonly type: 'log';
  readonly stream: LogStream;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly sentBytes: number;
}

export type FollowPart =
  | LogPart
  /** When what was written; comes before or behind the bytes. */
  | { readonly type: 'times'; readonly stream: LogStream; readonly marks: readonly TimeMark[] }
  /** The next bytes of the stream are gone from the machine; it goes on at `to`. */
  | { readonly type: 'gap'; readonly stream: LogStream; readonly from: number; readonly to: number }
  /** `more`: others came with it, and follow at once. */
  | { readonly type: 'record'; readonly record: JobRecord; readonly more: boolean };

export interface FollowOptions extends OutageOptions {
  /** A new connection. What it throws ends the following, unless it is `connection`, or a machine that lets nobody in yet: then it is tried again. */
  readonly connect: () => Promise<RunnerClient>;
  /** Gives up the connection that broke, before `connect` is called again. */
  readonly release: () => PromiseLike<void>;
  /** The first byte of the log that is wanted. */
  readonly logOffset: number;
  /** The same for stderr, of a job that keeps it apart; absent: 0. */
  readonly errOffset?: number;
  /** Only the bytes of this stream are sent; absent: those of both. */
  readonly only?: LogStream;
  /** Of what was received of each stream before, up to where it is to go on; absent: nothing is known of that. */
  readonly had?: Readonly<Record<LogStream, readonly LogProof[]>>;
  /** Up to where the times of bytes are known already; absent: they are not wanted. */
  readonly times?: Readonly<Record<LogStream, number>>;
  /** Records up to this number are known already. */
  readonly record: number;
  /** false: only what is there now. */
  readonly follow: boolean;
  /** Told of bytes that come while the caller waits for the next part, sooner than by that: true, and they are done with; else they are the next part. */
  readonly takeLog?: (part: LogPart) => boolean;
  readonly signal: AbortSignal;
  /** The machine's log is no longer what was received of it: from `at` on it comes again. */
  readonly onDiffers?: (what: LogDiffers) => void;
  /** Asked again and again once the runner has been silent for longer than it should be: true, and the connection is given up at once. */
  readonly isOver?: () => Promise<boolean>;
  /** Bytes have come, be it a piece of a block that a slow line takes long for. At most once a second. */
  readonly onHeard?: () => void;
}

/** Up to `had` something else was received; `received`: of what, as far back as that was remembered. */
export interface LogDiffers {
  readonly stream: LogStream;
  readonly at: number;
  readonly had: number;
  readonly received: readonly LogProof[];
}

/** The runner sends a heartbeat every 5 s: after three and a bit it is as good as gone. */
const silenceMs = 17_000;
/** One heartbeat is missing: worth a question to whoever knows whether the machine is there, and from then on now and then. */
const quietMs = 7_000;
const askAgainMs = 3_000;
const lookEveryMs = 1_000;
const streams: readonly LogStream[] = ['out', 'err'];

/** Where to go on: what has been handed out. */
interface Place {
  readonly offsets: Record<LogStream, number>;
  /** Of the marks. */
  readonly times: Record<LogStream, number> | null;
  readonly received: Readonly<Record<LogStream, Received>>;
  record: number;
  ended: boolean;
}

/**
 * @throws GpuRunError `connection` when there was none for too long, `interrupted`, what the runner says (`not-found`, `bad-input`),
 *   `protocol` when that makes no sense
 */
export async function* followJob(options: FollowOptions): AsyncGenerator<FollowPart> {
  const { connect, release, clock, signal } = options;
  const place = startOf(options);
  const outage = createOutage(options, () => `${place.offsets.out} ${place.offsets.err} ${place.record}`);
  for (;;) {
    throwIfAborted(signal);
    let connecting = true;
    try {
      const client = await connect();
      connecting = false;
      const connection = openConnection(client, place, options);
      const { takeLog } = options;
      if (takeLog !== undefined) connection.call.onBlock((block) => takeAtOnce(block, place, connection, takeLog, outage));
      try {
        for await (const part of withoutSilence(connection.call, options)) {
          outage.heard();
          if (part.kind === 'block') yield advanceLog(place, connection, part.block);
          else yield* advanceBy(eventIn(part.value), place, connection, options);
        }
        await connection.call.result;
      } finally {
        connection.call.cancel();
      }
      if (options.follow && !place.ended) throw unfinished(options);
      return;
    } catch (error) {
      throwIfAborted(signal);
      if (place.ended) return; // all was there; only the goodbye got lost
      const pause = outage.pauseAfter(toGpuRunError(error), connecting);
      await release();
      await clock.sleep(pause, signal).catch(() => throwIfAborted(signal));
    }
  }
}

function startOf({ logOffset, errOffset = 0, had, times, record }: FollowOptions): Place {
  return {
    offsets: { out: logOffset, err: errOffset },
    times: times === undefined ? null : { ...times },
    record,
    received: { out: createReceived(had?.out), err: createReceived(had?.err) },
    ended: false,
  };
}

interface Connection {
  readonly call: OpenCall;
  /** What comes now belongs to it. */
  stream: LogStream;
  /** Streams of which was asked whether they differ: that is told before anything else. */
  readonly asked: Set<LogStream>;
}

function openConnection(client: RunnerClient, place: Place, { jobId, follow, only }: FollowOptions): Connection {
  const call = client.open('follow', {
    id: jobId,
    logOffset: place.offsets.out,
    errOffset: place.offsets.err,
    record: place.record,
    follow,
    ...(only === undefined ? {} : { only }),
    ...(place.times === null ? {} : { times: place.times }),
    ...proofsOf(place),
    packed: codecs,
  });
  return { call, stream: 'out', asked: new Set(streams.filter((stream) => place.received[stream].proofs.length > 0)) };
}

function* advanceBy(event: FollowEvent | null, place: Place, connection: Connection, options: FollowOptions): Generator<FollowPart> {
  if (event?.type === 'stream') connection.stream = event.stream;
  else if (event?.type === 'differs') goBack(place, event, connection.asked, options);
  else if (event?.type === 'records') yield* advanceRecords(place, event.records);
  else if (event !== null) yield advance(place, event);
}

function unfinished({ jobId }: FollowOptions): GpuRunError {
  return new GpuRunError('protocol', `The runner says that all of ${jobId} was told, but not how it ended.`);
}

function proofsOf({ received: { out, err } }: Place): { proofs?: Readonly<Record<LogStream, readonly LogProof[]>> } {
  return out.proofs.length + err.proofs.length === 0 ? {} : { proofs: { out: out.proofs, err: err.proofs } };
}

type Differs = Extract<FollowEvent, { readonly type: 'differs' }>;

function goBack({ offsets, received }: Place, { stream, from }: Differs, asked: Set<LogStream>, { onDiffers }: FollowOptions): void {
  const had = offsets[stream];
  const { proofs } = received[stream];
  if (!asked.delete(stream) || from >= had)
    throw new GpuRunError('protocol', `The runner says that the log differs from byte ${from} on; ${had} were received.`);
  offsets[stream] = from;
  received[stream].restart();
  onDiffers?.({ stream, at: from, had, received: proofs });
}

/** What can't be is left for whoever waits to throw. */
function takeAtOnce(block: Block, place: Place, connection: Connection, takeLog: (part: LogPart) => boolean, outage: Outage): boolean {
  const { stream } = connection;
  const { offset, bytes, sentBytes } = block;
  if (offset !== place.offsets[stream] || !takeLog({ type: 'log', stream, offset, bytes, sentBytes })) return false;
  outage.heard();
  advanceLog(place, connection, block);
  return true;
}

function advanceLog({ offsets, received }: Place, { stream, asked }: Connection, { offset, bytes, crc, sentBytes }: Block): LogPart {
  asked.clear();
  if (offset !== offsets[stream]) throw new GpuRunError('protocol', `The runner sent the log from byte ${offset} on; byte ${offsets[stream]} was next.`);
  received[stream].add(offset, bytes, crc);
  offsets[stream] += bytes.length;
  return { type: 'log', stream, offset, bytes, sentBytes };
}

function advance(place: Place, event: Exclude<FollowEvent, { readonly type: 'stream' | 'differs' | 'records' }>): FollowPart {
  if (event.type === 'times') {
    if (place.times !== null) place.times[event.stream] = event.marks.at(-1)?.[0] ?? place.times[event.stream];
    return event;
  }
  const next = place.offsets[event.stream];
  if (event.from !== next) throw new GpuRunError('protocol', `The runner says that bytes from ${event.from} on are gone; byte ${next} was next.`);
  place.offsets[event.stream] = event.to;
  place.received[event.stream].restart();
  return event;
}

function* advanceRecords(place: Place, records: readonly JobRecord[]): Generator<FollowPart> {
  for (const [index, record] of records.entries()) {
    place.record = record.n;
    place.ended = record.type === 'state' && record.state === 'ended';
    yield { type: 'record', record, more: index < records.length - 1 };
  }
}

function eventIn(value: unknown): FollowEvent | null {
  try {
    return parseFollowEvent(value);
  } catch (error) {
    throw error instanceof FrameError ? new GpuRunError('protocol', `The runner sent what makes no sense: ${error.message}.`, { cause: error }) : error;
  }
}

/** The call's parts; fails with `connection` when not a byte comes while we wait for one. No generator: see `CallState.parts`. */
function withoutSilence(call: OpenCall, options: FollowOptions): AsyncIterable<Part> {
  const { clock, signal, isOver = async () => false, onHeard } = options;
  const parts = call.parts()[Symbol.asyncIterator]();
  const over = new AbortController();
  const stop = AbortSignal.any([over.signal, signal]);
  let waitingSince: number | null = null;
  let heard = call.heardBytes();
  let silent = false;
  let gone = false;
  const listen = () => {
    if (heard === call.heardBytes()) return;
    heard = call.heardBytes();
    if (waitingSince !== null) waitingSince = clock.now();
    onHeard?.();
  };
  const watch = async () => {
    for (let askAfter = quietMs; !silent; ) {
      await clock.sleep(lookEveryMs, stop);
      listen();
      if (waitingSince !== null) waitingSince = Math.min(waitingSince, clock.now()); // the clock was set back
      const quiet = waitingSince === null ? 0 : clock.now() - waitingSince;
      if (quiet < quietMs) askAfter = quietMs;
      else if (quiet >= askAfter) {
        askAfter = quiet + askAgainMs;
        isOver().then(
          (over) => {
            gone ||= over;
          },
          () => {}, // as far as we know it is there
        );
      }
      silent = gone || quiet >= silenceMs;
    }
    call.cancel();
  };
  watch().catch(() => signal.aborted && call.cancel());
  const took = (next: IteratorResult<Part>) => {
    waitingSince = null;
    if (next.done === true) over.abort();
    return next;
  };
  const failed = (error: unknown) => {
    over.abort();
    if (!silent) throw error;
    throw new GpuRunError('connection', gone ? 'The runner is silent, and the machine is over.' : `The runner has been silent for ${silenceMs / 1000} s.`);
  };
  const next = () => {
    waitingSince = clock.now();
    return parts.next().then(took, failed);
  };
  const leave = async () => {
    over.abort();
    return { done: true, value: undefined } as const;
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: leave }) };
}

function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new GpuRunError('interrupted', 'Interrupted.', { cause: signal.reason });
}
