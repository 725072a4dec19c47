/** Commands and streams that a link runs, as their caller has them. May import core, protocol and the transport interface. */
import { Duplex, Readable, Writable } from 'node:stream';
import { GpuRunError } from '../core/errors.ts';
import { PeerClosedError, RemoteError } from '../protocol/call-state.ts';
import type { OpenCall, Part } from '../protocol/peer.ts';
import type { RemoteAddress, StartedCommand } from '../transport/connector.ts';
import type { ExitStatus } from '../transport/transport.ts';
import { sendBytes, stderrOffset, unwrap } from './messages.ts';

/** The link broke or does not know the call: as if the connection had broken. */
export function linkLost(error: unknown): unknown {
  if (!(error instanceof PeerClosedError) && !(error instanceof RemoteError)) return error;
  return new GpuRunError('connection', `The connection that was kept warm broke: ${error.message}.`, { retry: 'same', cause: error });
}

export async function resultOf<T>(call: Pick<OpenCall, 'result'>): Promise<T> {
  try {
    return unwrap<T>(await call.result);
  } catch (error) {
    throw linkLost(error);
  }
}

/** @throws GpuRunError why it could not be started */
export async function startedCommand(call: OpenCall): Promise<StartedCommand> {
  const parts = await untilStarted(call);
  const stdout = receiver();
  const stderr = receiver();
  const exit = resultOf<ExitStatus>(call);
  exit.catch(() => {}); // whoever started the command asks later
  const ended = () => {
    stdout.stream.push(null);
    stderr.stream.push(null);
  };
  receive(parts, (part) => (part.kind === 'block' ? (part.block.offset === stderrOffset ? stderr : stdout).take(part.block.bytes) : undefined)).then(
    ended,
    ended,
  );
  return { stdin: inputOf(call), stdout: stdout.stream, stderr: stderr.stream, exit, kill: (signal) => void call.event({ kill: signal }).catch(() => {}) };
}

/** @throws GpuRunError why it could not be opened */
export async function openedStream(call: OpenCall, remote: RemoteAddress): Promise<Duplex> {
  const parts = await untilStarted(call);
  let more: (() => void) | null = null;
  const stream = new Duplex({
    allowHalfOpen: true,
    read: () => {
      more?.();
      more = null;
    },
    write: (bytes: Uint8Array, _encoding, done) => void sendBytes(call, 0, bytes).then(() => done(), done),
    final: (done) => void call.end().then(() => done(), done),
    destroy: (error, done) => {
      call.cancel();
      done(error);
    },
  });
  const take = (part: Part): Promise<void> | undefined => {
    if (part.kind === 'event') {
      stream.push(null);
      return undefined;
    }
    if (stream.push(part.block.bytes)) return undefined;
    return new Promise((resolve) => {
      more = resolve;
    });
  };
  receive(parts, take).then(
    () => stream.push(null),
    () => stream.destroy(new GpuRunError('connection', `The stream to ${remote.host}:${remote.port} broke.`)),
  );
  return stream;
}

async function untilStarted(call: OpenCall): Promise<AsyncIterator<Part>> {
  const parts = call.parts()[Symbol.asyncIterator]();
  const first = await parts.next().catch(() => ({ done: true }) as const);
  if (first.done !== true) return parts;
  await resultOf(call);
  throw new GpuRunError('internal', 'the link ended a command before it began');
}

async function receive(parts: AsyncIterator<Part>, take: (part: Part) => Promise<void> | undefined): Promise<void> {
  for (let next = await parts.next(); next.done !== true; next = await parts.next()) await take(next.value);
}

/** A stream that holds back whoever sends. */
function receiver(): { readonly stream: Readable; take(bytes: Uint8Array): Promise<void> | undefined } {
  let more: (() => void) | null = null;
  const goOn = () => {
    more?.();
    more = null;
  };
  const stream = new Readable({
    read: goOn,
    destroy: (error, done) => {
      goOn();
      done(error);
    },
  });
  return {
    stream,
    take: (bytes) => {
      if (stream.destroyed || stream.push(bytes)) return undefined;
      return new Promise((resolve) => {
        more = resolve;
      });
    },
  };
}

/** What is written behind the command's end is dropped: it may leave its input unread. */
function inputOf(call: OpenCall): Writable {
  return new Writable({
    write: (bytes: Uint8Array, _encoding, done) => {
      sendBytes(call, 0, bytes).then(
        () => done(),
        () => done(),
      );
    },
    final: (done) => {
      call.end().then(
        () => done(),
        () => done(),
      );
    },
  });
}
