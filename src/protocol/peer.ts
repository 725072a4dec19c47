/**
 * Many calls over one duplex of frames, the same code at both ends. Imports its own folder only.
 *
 * Wire messages (JSON frames):
 *   {id, op, params}   opens a call          {id, event}         one streamed value, either way
 *   {id, end: true}    opener sends no more  {id, result}        the call succeeded
 *   {id, error: {code, message}}             {id, cancel: true}  opener wants no more
 *   {id, ack: bytes}   so much was read      {id: 0, beat: true} a sign of life
 * Blocks carry the call's id and flow either way while the call is open.
 *
 * Each call has its own window each way: a sender waits while more than `windowBytes` are unread at the other end. So a
 * call whose parts nobody reads holds up itself and no other call.
 */
import { type Call, CallState, type Claim, PeerClosedError, RemoteError } from './call-state.ts';
import type { Crc32 } from './crc32.ts';
import {
  blockBytes,
  encodeBlock,
  encodeBlockHeader,
  encodeJson,
  encodePackedHeader,
  type Frame,
  FrameDecoder,
  FrameError,
  headerBytes,
  packedHeaderBytes,
  unpackFrame,
} from './frame.ts';
import type { Unpack } from './packed.ts';

export type { Call, Part } from './call-state.ts';

export interface OpenCall extends Call {
  /** No more parts from us; the result is still awaited. */
  end(): Promise<void>;
  readonly result: Promise<unknown>;
  /** Bytes that have come over the connection, also of frames that are not whole yet: when it grows, the other end is there. */
  heardBytes(): number;
  cancel(): void;
}

/** Answers calls: the returned value is the result; a thrown error with a string `code` is passed on under it. */
export type CallHandler = (call: Call) => Promise<unknown>;

/** Sends the parts, one right behind the other; resolves when more may be sent, and their bytes are not looked at any more. */
export type Write = (...parts: readonly Uint8Array[]) => Promise<void>;

/** So much is cheaper to copy than to send on its own. */
const joinedBytes = 8 * 1024;

/** Milliseconds between the signs of life of whoever opens calls; who answers them may go after three that did not come. */
export const beatEveryMs = 10_000;

/** Calls count from 1. */
const beatId = 0;

export class Peer {
  readonly #write: Write;
  readonly #answer: CallHandler | null;
  readonly #crc32: Crc32;
  readonly #decoder: FrameDecoder;
  readonly #unpack: Unpack;
  readonly #calls = new Map<number, CallState>();
  #nextId = 1;
  #closed: Error | null = null;
  #heard = false;
  #broken: unknown = null;
  #heardBytes = 0;

  /** `answer` is null at the end that only opens calls, `unpack` absent at one that asks for nothing packed. */
  constructor(write: Write, answer: CallHandler | null, crc32: Crc32, unpack: Unpack = refuse) {
    this.#write = write;
    this.#answer = answer;
    this.#crc32 = crc32;
    this.#unpack = unpack;
    this.#decoder = new FrameDecoder(crc32);
  }

  /** Whole frames have come: at the other end is somebody who speaks the protocol. */
  get heard(): boolean {
    return this.#heard;
  }

  /** Takes bytes from the connection, before it returns. Rejects with FrameError when the peer breaks the protocol, and then again each time. */
  async feed(bytes: Uint8Array): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    this.#heardBytes += bytes.length;
    try {
      for (const frame of this.#decoder.push(bytes)) {
        this.#heard = true;
        this.#take(frame);
      }
    } catch (error) {
      this.#broken = error;
      throw error;
    }
  }

  /** A sign of life that asks for nothing. */
  async beat(): Promise<void> {
    await this.#send({ id: beatId, beat: true });
  }

  /** The connection ended: every open call fails with `reason`. */
  close(reason: Error): void {
    if (this.#closed !== null) return;
    this.#closed = reason;
    for (const call of this.#calls.values()) call.fail(reason);
    this.#calls.clear();
  }

  /** Opens a call. It fails with `RemoteError`, or with `PeerClosedError` when the connection ends first. */
  open(op: string, params: unknown): OpenCall {
    const id = this.#nextId++;
    const call = this.#newCall(id, op, params);
    const result = call.result.finally(() => this.#calls.delete(id));
    result.catch(() => {}); // the caller may look at parts() first
    if (this.#closed !== null) call.fail(this.#closed);
    else {
      this.#calls.set(id, call);
      this.#send({ id, op, params }).catch((error: Error) => call.fail(error));
    }
    return Object.assign(call, {
      end: () => this.#send({ id, end: true }),
      result,
      heardBytes: () => this.#heardBytes,
      cancel: () => {
        if (!this.#calls.has(id)) return;
        call.fail(new PeerClosedError('the call was cancelled'));
        this.#send({ id, cancel: true }).catch(() => {});
      },
    });
  }

  #newCall(id: number, op: string, params: unknown): CallState {
    return new CallState(op, params, {
      event: (value, claim) => this.#sendClaimed(claim, encodeJson({ id, event: value }, this.#crc32)),
      block: async (offset, bytes, claim) => {
        for (let at = 0; at < bytes.length || at === 0; at += blockBytes) {
          const piece = bytes.subarray(at, at + blockBytes);
          if (piece.length <= joinedBytes) await this.#sendClaimed(claim, encodeBlock(id, offset + at, piece, this.#crc32));
          else await this.#sendClaimed(claim, encodeBlockHeader(id, offset + at, piece, this.#crc32), piece);
        }
      },
      blockNow: (offset, bytes) => {
        if (this.#closed === null) this.#write(encodeBlock(id, offset, bytes, this.#crc32)).catch(() => {}); // the connection ended: `signal` says so
      },
      packed: async (offset, packed, claim) => {
        const turn = claim(packedHeaderBytes + packed.length);
        if (turn !== null) await turn;
        if (this.#closed !== null) throw this.#closed;
        await this.#write(encodePackedHeader(id, offset, packed, this.#crc32), packed.bytes);
      },
      ack: (size) => void this.#send({ id, ack: size }).catch(() => {}),
    });
  }

  /** Waits for room in the call's window, then sends; where there is room, before it returns. */
  async #sendClaimed(claim: Claim, ...parts: readonly Uint8Array[]): Promise<void> {
    const turn = claim(parts.reduce((sum, part) => sum + part.length, -headerBytes));
    if (turn !== null) await turn;
    if (this.#closed !== null) throw this.#closed;
    await this.#write(...parts);
  }

  async #send(message: unknown): Promise<void> {
    if (this.#closed !== null) throw this.#closed;
    await this.#write(encodeJson(message, this.#crc32));
  }

  #take(frame: Frame): void {
    if (frame.kind === 'block') {
      this.#takeBlock(frame, frame.bytes.length);
      return;
    }
    if (frame.kind === 'packed') {
      this.#takeBlock({ ...frame, ...unpackFrame(frame, this.#unpack, this.#crc32) }, frame.bytes.length);
      return;
    }
    const message = frame.value;
    if (typeof message !== 'object' || message === null || !('id' in message) || !Number.isSafeInteger(message.id)) {
      throw new FrameError('a message has no call id');
    }
    const id = message.id as number;
    if ('op' in message) {
      this.#begin(id, message);
      return;
    }
    const call = this.#calls.get(id);
    if (call === undefined) return; // it ended already
    if ('event' in message) call.push({ kind: 'event', value: message.event }, frame.size);
    else if ('ack' in message) call.acknowledge(message.ack);
    else if ('end' in message) call.finishParts();
    else if ('cancel' in message) call.fail(new PeerClosedError('the other side cancelled the call'));
    else if ('result' in message) call.succeed(message.result);
    else if ('error' in message) call.fail(toRemoteError(message.error));
    else throw new FrameError('a message has no known field');
  }

  #takeBlock({ call, size, offset, bytes, crc }: Omit<Extract<Frame, { kind: 'block' }>, 'kind'>, sentBytes: number): void {
    this.#calls.get(call)?.push({ kind: 'block', block: { offset, bytes, crc, sentBytes } }, size);
  }

  #begin(id: number, message: object): void {
    const op = 'op' in message ? message.op : null;
    if (this.#answer === null || typeof op !== 'string' || this.#calls.has(id)) throw new FrameError('an unexpected call');
    const call = this.#newCall(id, op, 'params' in message ? message.params : undefined);
    call.result.catch(() => {}); // it is the opener who looks at results; here it only ends the call
    this.#calls.set(id, call);
    this.#reply(id, call, this.#answer).catch(() => {}); // the connection is gone; close() tells everybody
  }

  async #reply(id: number, call: CallState, answer: CallHandler): Promise<void> {
    let reply: object;
    try {
      reply = { id, result: (await answer(call)) ?? {} };
    } catch (error) {
      reply = { id, error: { code: codeOf(error), message: error instanceof Error ? error.message : String(error) } };
    }
    this.#calls.delete(id);
    call.succeed(undefined);
    try {
      await this.#send(reply);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      await this.#send({ id, error: { code: 'internal', message: `the answer can't be sent: ${error.message}` } });
    }
  }
}

function refuse(): never {
  throw new FrameError('nobody asked for what is packed');
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
}

function toRemoteError(value: unknown): RemoteError {
  const { code, message } = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  return new RemoteError(
    typeof code === 'string' ? code : 'internal',
    typeof message === 'string' ? message : 'the runner reported an error without a message',
  );
}
