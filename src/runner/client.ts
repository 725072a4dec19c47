/** An open connection to the runner on a machine. May import core, protocol and the transport interface. */
import { crc32 } from 'node:zlib';
import { type ErrorCode, GpuRunError, toGpuRunError } from '../core/errors.ts';
import { parseAnswer } from '../protocol/answer-parse.ts';
import { type Part, PeerClosedError, RemoteError } from '../protocol/call-state.ts';
import type { CallName, Calls } from '../protocol/calls.ts';
import { DamagedFrameError, FrameError } from '../protocol/frame.ts';
import { type Introduction, MagicScanner } from '../protocol/magic.ts';
import { beatEveryMs, type OpenCall, Peer, type Write } from '../protocol/peer.ts';
import { standbyWord } from '../protocol/standby.ts';
import type { RemoteProcess, Transport } from '../transport/transport.ts';
import type { InstalledRunner } from './install.ts';
import { firstWordWithinMs, silentMachine } from './silence.ts';
import { unpack } from './unpack.ts';

/** `version`, `isWatched`: as the runner introduced itself. */
export interface RunnerClient extends Introduction {
  /** @throws GpuRunError under the runner's own code, `connection` when the connection broke first, `protocol` when the answer makes no sense */
  call<Op extends CallName>(op: Op, params: Calls[Op]['params']): Promise<Calls[Op]['result']>;
  /** A call with parts. `parts()`, `result` and the sending methods fail as `call` does. */
  open(op: string, params: unknown): OpenCall;
  /** Resolves when the connection is over, with why. */
  readonly over: Promise<GpuRunError>;
  /** Ends the connection; open calls fail with `connection`. Jobs go on. Idempotent. */
  close(): Promise<void>;
}

export interface OpenRunnerOptions {
  /** Ends the connection when aborted, whenever that is; everything then fails with `interrupted`. */
  readonly signal: AbortSignal;
  /** It may wait for hours, and is nobody at the machine meanwhile. */
  readonly standby?: boolean;
  /** Milliseconds that the runner has to introduce itself; default 30,000. */
  readonly withinMs?: number;
}

/** @throws GpuRunError `protocol` when something else than the runner answers, `connection`, also when nothing answers, `interrupted` */
export async function openRunner(transport: Transport, installed: InstalledRunner, options: OpenRunnerOptions): Promise<RunnerClient> {
  const { signal, standby = false, withinMs = firstWordWithinMs } = options;
  const remote = transport.exec([...installed.argv, 'connect', '--root', installed.root, ...(standby ? [standbyWord] : [])], { signal });
  const said = keepTail(remote);
  remote.stdin.on('error', () => {}); // the process may be gone; its exit says so
  const scanner = new MagicScanner();
  const peer = new Peer(writerTo(remote), null, crc32, unpack);
  const { promise: introduced, resolve: onIntroduced, reject: onFailure } = Promise.withResolvers<Introduction>();

  const reading = read(remote, scanner, peer, onIntroduced);
  const over = reading.then(
    () => describeEnd(remote, scanner, said, signal),
    (error: unknown) => {
      if (error instanceof DamagedFrameError && peer.heard) return damaged(error);
      return error instanceof FrameError ? brokenProtocol(error, scanner, said) : describeEnd(remote, scanner, said, signal);
    },
  );
  let beating: NodeJS.Timeout | undefined;
  const closing = over.then((reason) => {
    clearInterval(beating);
    onFailure(reason);
    peer.close(reason);
    remote.kill();
  });
  const silent = setTimeout(() => {
    onFailure(silentMachine(withinMs));
    remote.kill();
  }, withinMs);

  const { version, isWatched } = await introduced.finally(() => clearTimeout(silent));
  // The runner can't see that we are gone when a network swallows our goodbye: it ends when it hears nothing.
  beating = setInterval(() => peer.beat().catch(() => {}), beatEveryMs);
  beating.unref();
  return {
    version,
    isWatched,
    call: async (op, params) => answerOf(op, await openMapped(peer, op, params).result),
    open: (op, params) => openMapped(peer, op, params),
    over,
    close: async () => {
      peer.close(new GpuRunError('connection', 'The connection to the runner was closed.'));
      clearInterval(beating);
      remote.stdin.end();
      remote.stdout.destroy(); // what is still on its way is of no use to anybody
      remote.kill();
      await closing;
    },
  };
}

/** By events: a line of a log is to pass through without a turn of the event loop. Resolves at the end. @throws FrameError, or what broke the stream */
function read({ stdout }: RemoteProcess, scanner: MagicScanner, peer: Peer, onIntroduced: (runner: Introduction) => void): Promise<void> {
  let introduced = false;
  const take = async (chunk: Uint8Array) => {
    if (introduced) return await peer.feed(chunk);
    const found = scanner.push(chunk);
    if (found === null) return;
    introduced = true;
    onIntroduced(found);
    await peer.feed(found.rest);
  };
  return new Promise((resolve, reject) => {
    const stop = (error: unknown) => {
      reject(error);
      stdout.destroy();
    };
    stdout.on('data', (chunk: Uint8Array) => void take(chunk).catch(stop));
    stdout.once('error', reject);
    stdout.once('close', resolve); // also behind its end
  });
}

function writerTo({ stdin }: RemoteProcess): Write {
  return (...parts) =>
    new Promise((resolve, reject) => {
      const written = (error?: Error | null) => (error ? reject(new PeerClosedError('the connection ended')) : resolve());
      for (const [index, part] of parts.entries()) stdin.write(part, index === parts.length - 1 ? written : undefined);
    });
}

const keptBytes = 4096;

/** The end of what the process says on stderr, for error messages. */
function keepTail(remote: RemoteProcess): () => string {
  let tail = '';
  remote.stderr.on('data', (chunk: Uint8Array) => {
    tail = (tail + Buffer.from(chunk).toString()).slice(-keptBytes);
  });
  remote.stderr.on('error', () => {});
  return () => tail.trim();
}

/** Why the connection is over, once the process has ended. */
async function describeEnd(remote: RemoteProcess, scanner: MagicScanner, said: () => string, signal: AbortSignal): Promise<GpuRunError> {
  let status: Awaited<RemoteProcess['exit']>;
  try {
    status = await remote.exit;
  } catch (error) {
    const failure = toGpuRunError(error);
    const cutOff = failure.code === 'interrupted' && !signal.aborted;
    return cutOff ? new GpuRunError('connection', `The connection to the runner was cut: ${failure.message}`, { cause: failure, retry: 'same' }) : failure;
  }
  const words = [said(), scanner.introduced ? '' : scanner.noise.trim()].filter((text) => text !== '').join('\n');
  const how = status.signal === null ? `with exit code ${status.code}` : `by ${status.signal}`;
  const told = words === '' ? '' : `: ${words}`;
  // Before it introduced itself a runner that was not killed never worked; to try again would not help.
  if (!scanner.introduced && status.code <= 128) return new GpuRunError('protocol', `The runner did not start on the machine; it ended ${how}${told}`);
  return new GpuRunError('connection', `The connection to the runner broke: it ended ${how}${told}`, { retry: 'same' });
}

/** Up to then it spoke as the runner does: something between us has changed bytes. */
function damaged(error: FrameError): GpuRunError {
  return new GpuRunError('connection', `The connection to the runner was given up: ${error.message}.`, { cause: error, retry: 'same' });
}

function brokenProtocol(error: FrameError, scanner: MagicScanner, said: () => string): GpuRunError {
  const words = [scanner.introduced ? '' : scanner.noise.trim(), said()].filter((text) => text !== '').join('\n');
  return new GpuRunError('protocol', `The machine does not speak as the runner does: ${error.message}${words === '' ? '' : `\nIt said: ${words}`}`, {
    cause: error,
    hints: ['A shell start-up file on the machine that prints without end or starts another program can be the reason.'],
  });
}

function answerOf<Op extends CallName>(op: Op, value: unknown): Calls[Op]['result'] {
  try {
    return parseAnswer(op, value);
  } catch (error) {
    throw error instanceof FrameError ? new GpuRunError('protocol', `The runner sent what makes no sense: ${error.message}.`, { cause: error }) : error;
  }
}

function openMapped(peer: Peer, op: string, params: unknown): OpenCall {
  const call = peer.open(op, params);
  const result = call.result.catch((error: unknown) => Promise.reject(toClientError(error)));
  result.catch(() => {}); // as in Peer: the caller may look at parts() first
  const mapped = async <T>(sent: Promise<T>): Promise<T> => {
    try {
      return await sent;
    } catch (error) {
      throw toClientError(error);
    }
  };
  return {
    op,
    params,
    signal: call.signal,
    result,
    parts: () => mappedParts(call.parts()),
    event: (value) => mapped(call.event(value)),
    block: (offset, bytes) => mapped(call.block(offset, bytes)),
    blockNow: (offset, bytes) => call.blockNow(offset, bytes),
    onBlock: (take) => call.onBlock(take),
    packed: (offset, packed) => mapped(call.packed(offset, packed)),
    end: () => mapped(call.end()),
    heardBytes: () => call.heardBytes(),
    cancel: () => call.cancel(),
  };
}

function mappedParts(parts: AsyncIterable<Part>): AsyncIterable<Part> {
  const failed = (error: unknown) => Promise.reject(toClientError(error));
  return {
    [Symbol.asyncIterator]: () => {
      const iterator = parts[Symbol.asyncIterator]();
      return { next: () => iterator.next().catch(failed), return: () => iterator.return?.() ?? Promise.resolve({ done: true, value: undefined }) };
    },
  };
}

/** The codes that the runner may use; another one is a fault of ours. */
const runnerCodes: ReadonlySet<string> = new Set<ErrorCode>([
  'bad-input',
  'not-found',
  'conflict',
  'internal',
  'sync',
  'disk-full',
  'connection',
  'protocol',
  'not-allowed',
  'unfit',
  'interrupted',
  'preempted',
  'deadline',
  'budget',
]);

const hintsByCode: Readonly<Partial<Record<ErrorCode, string>>> = {
  'disk-full': 'Free space on the machine, or take one with a larger disk.',
  deadline: 'Give more time with --max-time, or to one that is up with gpu-run extend.',
  budget: 'Give more with --budget.',
};

function toClientError(error: unknown): unknown {
  if (error instanceof RemoteError) {
    const code = runnerCodes.has(error.code) ? (error.code as ErrorCode) : 'internal';
    const hint = hintsByCode[code];
    return new GpuRunError(code, error.message, { cause: error, hints: hint === undefined ? [] : [hint] });
  }
  if (error instanceof PeerClosedError)
    return new GpuRunError('connection', `The connection to the runner ended: ${error.message}.`, { cause: error, retry: 'same' });
  return error;
}
