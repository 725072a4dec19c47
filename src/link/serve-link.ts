/** A link's own end: listens, passes calls on, and knows when to end. May import core, protocol and the transport interface. */
import { rmSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { GpuRunError } from '../core/errors.ts';
import type { Call, CallHandler } from '../protocol/peer.ts';
import type { Connector, StartedCommand } from '../transport/connector.ts';
import { type Hello, outcomeOf, type StandingRunner } from './messages.ts';
import { passCommand, passStream } from './pass-on.ts';
import { type LinkPlace, makeFolder } from './place.ts';
import { peerOver } from './socket-peer.ts';

export interface LinkParts {
  readonly place: LinkPlace;
  /** Of gpu-run: another one asks it to leave. */
  readonly version: string;
  readonly connector: Connector;
  /** A runner that waits on the machine for the next caller; null: none is kept. */
  readonly spare: { readonly runner: StandingRunner; take(argv: readonly string[]): StartedCommand | null } | null;
  /** Calls beside those of every link. */
  readonly more?: Readonly<Record<string, (call: Call) => Promise<unknown>>>;
  /** How long it stays without a caller, milliseconds. */
  readonly idleMs: number;
  /** The machine has ended, or is about to: asked each second. */
  readonly isOver: () => boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const lookEveryMs = 1_000;
/** This computer slept: what stands of the connection is not known. */
const sleptMs = 15_000;

/**
 * Resolves with why it ended, in words, its socket gone. The caller holds the lock: whatever lies in the socket's place is of the dead.
 * @throws GpuRunError `not-allowed` when the folder is not ours alone, the system's error when it can't listen
 */
export async function serveLink(parts: LinkParts): Promise<string> {
  const { place, connector } = parts;
  makeFolder(place);
  rmSync(place.socket, { force: true });
  const state: LinkState = { callers: new Set(), calls: 0, leaving: false };
  const answer = answersOf(parts, state);
  const counted: CallHandler = async (call) => {
    state.calls += 1;
    try {
      return await answer(call);
    } finally {
      state.calls -= 1;
    }
  };
  const server = createServer((socket) => {
    if (state.leaving) return void socket.destroy();
    state.callers.add(socket);
    socket.once('close', () => state.callers.delete(socket));
    peerOver(socket, counted);
  });
  await listen(server, place.socket);
  const own = inodeOf(place.socket);
  const isListening = () => inodeOf(place.socket) === own;
  try {
    return await untilOver(parts, state, isListening);
  } finally {
    if (isListening()) rmSync(place.socket, { force: true });
    server.close();
    for (const caller of state.callers) caller.destroy();
    await connector.close();
  }
}

interface LinkState {
  readonly callers: Set<Socket>;
  /** That are being answered. */
  calls: number;
  leaving: boolean;
}

async function untilOver(parts: LinkParts, state: LinkState, isListening: () => boolean): Promise<string> {
  const { connector, clock, signal } = parts;
  let stood = connector.alive();
  let usedAt = clock.now();
  for (let lookedAt = usedAt; ; ) {
    await clock.sleep(lookEveryMs, signal).catch(() => {});
    const now = clock.now();
    const slept = now - lookedAt > sleptMs;
    lookedAt = now;
    stood ||= connector.alive();
    if (state.callers.size > 0) usedAt = now;
    if (signal.aborted) return 'it was told to end';
    if (!isListening()) return 'its socket was taken away';
    if (parts.isOver()) return 'the machine has ended';
    if (stood && !connector.alive()) return 'the connection broke';
    const why = whyQuiet(state, slept, now - usedAt >= parts.idleMs);
    if (why !== null) return why;
  }
}

function whyQuiet({ calls, leaving }: LinkState, slept: boolean, idle: boolean): string | null {
  if (calls > 0) return null;
  if (leaving) return 'another version was asked for';
  if (slept) return 'this computer slept';
  return idle ? 'nobody used it' : null;
}

function answersOf({ version, connector, spare, more }: LinkParts, state: LinkState): CallHandler {
  const answers: Readonly<Record<string, (call: Call) => Promise<unknown>>> = {
    hello: async () => ({ version, runner: spare?.runner ?? null }) satisfies Hello,
    leave: async () => {
      state.leaving = true;
    },
    connect: (call) => outcomeOf(() => connector.connect(call.signal)),
    start: (call) => {
      const { argv } = call.params as { readonly argv: readonly string[] };
      return outcomeOf(() => passCommand(call, async (signal) => spare?.take(argv) ?? (await connector.start(argv, signal))));
    },
    dial: (call) => {
      const { host, port } = call.params as { readonly host: string; readonly port: number };
      return outcomeOf(() => passStream(call, () => connector.dial({ host, port })));
    },
    ...more,
  };
  return async (call) => {
    const answer = Object.hasOwn(answers, call.op) ? answers[call.op] : undefined;
    if (answer === undefined) throw new GpuRunError('protocol', `A link knows no call '${call.op}'.`);
    return await answer(call);
  };
}

/** 0600 from its first moment: the folder lets nobody else in meanwhile. */
async function listen(server: Server, socket: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const umask = process.umask(0o177);
  server.once('error', reject);
  server.listen(socket, resolve);
  process.umask(umask); // it is bound by now: listen(2) is called at once
  await promise;
}

function inodeOf(path: string): bigint | null {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}
