/**
 * Many calls over one duplex of frames, the same code at both ends. Imports its own folder only.
 *
 * Wire messages (JSON frames):
 *   {id, op, params}   opens a call        {id, event}         one streamed value, either way
 *   {id, end: true}    opener sends no more {id, result}        the call succeeded
 *   {id, error: {code, message}}           {id, cancel: true}  opener wants no more
 * Blocks carry the call's id and flow either way while the call is open.
 */
import { blockBytes, encodeBlock, encodeJson, type Frame, FrameDecoder, FrameError } from './frame.ts';

export interface Block {
  readonly offset: number;
  readonly bytes: Uint8Array;
}
export type Part = { readonly kind: 'event'; readonly value: unknown } | { readonly kind: 'block'; readonly block: Block };

/** An error that the other side reported, with its code. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The connection under the calls ended. */
export class PeerClosedError extends Error {
  override readonly name = 'PeerClosedError';
}

/** One open call, seen from either end. */
export interface Call {
  readonly op: string;
  readonly params: unknown;
  /** Parts from the other side in order; ends when it sends no more. Read by one reader only. */
  parts(): AsyncIterable<Part>;
  /** Both resolve when the bytes were taken over by the connection: await them, that is the back-pressure. */
  event(value: unknown): Promise<void>;
  block(offset: number, bytes: Uint8Array): Promise<void>;
  /** Aborted when the other side cancels the call or the connection ends. */
  readonly signal: AbortSignal;
}

export interface OpenCall extends Call {
  /** No more parts from us; the result is still awaited. */
  end(): Promise<void>;
  readonly result: Promise<unknown>;
  cancel(): void;
}

/** Answers calls: the returned value is the result; a thrown error with a string `code` is passed on under it. */
export type CallHandler = (call: Call) => Promise<unknown>;

/** Sends bytes; resolves when more may be sent. */
export type Write = (bytes: Uint8Array) => Promise<void>;

/** Unread parts a call may hold before `feed` stops resolving: the reader's back-pressure. */
const maxUnreadBytes = 4 * 1024 * 1024;

export class Peer {
  readonly #write: Write;
  readonly #answer: CallHandler | null;
  readonly #decoder = new FrameDecoder();
  readonly #calls = new Map<number, CallState>();
  #nextId = 1;
  #closed: Error | null = null;

  /** `answer` is null at the end that only opens calls. */
  constructor(write: Write, answer: CallHandler | null) {
    this.#write = write;
    this.#answer = answer;
  }

  /** Takes bytes from the connection. Await it before reading on. @throws FrameError when the peer breaks the protocol. */
  async feed(bytes: Uint8Array): Promise<void> {
    for (const frame of this.#decoder.push(bytes)) await this.#take(frame);
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
    const state = new CallState(op, params, (value) => this.#send({ id, event: value }), (offset, bytes) => this.#sendBlock(id, offset, bytes));
    const result = state.result.finally(() => this.#calls.delete(id));
    result.catch(() => {}); // the caller may look at parts() first
    if (this.#closed !== null) state.fail(this.#closed);
    else {
      this.#calls.set(id, state);
      this.#send({ id, op, params }).catch((error: Error) => state.fail(error));
    }
    return Object.assign(state, {
      end: () => this.#send({ id, end: true }),
      result,
      cancel: () => {
        if (!this.#calls.has(id)) return;
        state.fail(new PeerClosedError('the call was cancelled'));
        this.#send({ id, cancel: true }).catch(() => {});
      },
    });
  }

  async #take(frame: Frame): Promise<void> {
    if (frame.kind === 'block') {
      await this.#calls.get(frame.call)?.push({ kind: 'block', block: { offset: frame.offset, bytes: frame.bytes } }, frame.bytes.length);
      return;
    }
    const message = frame.value;
    if (typeof message !== 'object' || message === null || !('id' in message) || typeof message.id !== 'number') {
      throw new FrameError('a message has no call id');
    }
    const id = message.id;
    if ('op' in message) return this.#begin(id, message);
    const call = this.#calls.get(id);
    if (call === undefined) return; // it ended already
    if ('event' in message) await call.push({ kind: 'event', value: message.event }, 64);
    else if ('end' in message) call.finishParts();
    else if ('result' in message) call.succeed(message.result);
    else if ('error' in message) call.fail(toRemoteError(message.error));
    else if ('cancel' in message) call.fail(new PeerClosedError('the other side cancelled the call'));
    else throw new FrameError('a message has no known field');
  }

  #begin(id: number, message: object): void {
    const op = 'op' in message ? message.op : null;
    if (this.#answer === null || typeof op !== 'string' || this.#calls.has(id)) throw new FrameError('an unexpected call');
    const params = 'params' in message ? message.params : undefined;
    const call = new CallState(op, params, (value) => this.#send({ id, event: value }), (offset, bytes) => this.#sendBlock(id, offset, bytes));
    call.result.catch(() => {});
    this.#calls.set(id, call);
    this.#answer(call)
      .then(
        (result) => this.#send({ id, result: result ?? {} }),
        (error: unknown) => this.#send({ id, error: { code: codeOf(error), message: error instanceof Error ? error.message : String(error) } }),
      )
      .catch(() => {}) // the connection is gone; close() tells everybody
      .finally(() => {
        this.#calls.delete(id);
        call.finishParts();
      });
  }

  async #send(message: unknown): Promise<void> {
    if (this.#closed !== null) throw this.#closed;
    await this.#write(encodeJson(message));
  }

  async #sendBlock(id: number, offset: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length || at === 0; at += blockBytes) {
      if (this.#closed !== null) throw this.#closed;
      if (!this.#calls.has(id)) throw new PeerClosedError('the call has ended');
      await this.#write(encodeBlock(id, offset + at, bytes.subarray(at, at + blockBytes)));
    }
  }
}

class CallState implements Call {
  readonly op: string;
  readonly params: unknown;
  readonly event: (value: unknown) => Promise<void>;
  readonly block: (offset: number, bytes: Uint8Array) => Promise<void>;
  readonly result: Promise<unknown>;
  readonly #abort = new AbortController();
  readonly #unread: { part: Part; weight: number }[] = [];
  #unreadBytes = 0;
  #over = false;
  #failure: Error | null = null;
  #wakeReader: (() => void) | null = null;
  #wakeWriter: (() => void) | null = null;
  readonly #settle: { resolve: (value: unknown) => void; reject: (error: Error) => void };

  constructor(op: string, params: unknown, event: (value: unknown) => Promise<void>, block: (offset: number, bytes: Uint8Array) => Promise<void>) {
    this.op = op;
    this.params = params;
    this.event = event;
    this.block = block;
    let settle: { resolve: (value: unknown) => void; reject: (error: Error) => void } | undefined;
    this.result = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#settle = settle as NonNullable<typeof settle>; // the executor ran already
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  async push(part: Part, weight: number): Promise<void> {
    if (this.#over) return;
    this.#unread.push({ part, weight });
    this.#unreadBytes += weight;
    this.#wakeReader?.();
    while (this.#unreadBytes > maxUnreadBytes && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
    }
  }

  finishParts(): void {
    this.#over = true;
    this.#wakeReader?.();
    this.#wakeWriter?.();
  }

  succeed(result: unknown): void {
    this.#settle.resolve(result);
    this.finishParts();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#settle.reject(error);
    this.#abort.abort(error);
    this.finishParts();
  }

  async *parts(): AsyncGenerator<Part> {
    try {
      for (;;) {
        const next = this.#unread.shift();
        if (next !== undefined) {
          this.#unreadBytes -= next.weight;
          this.#wakeWriter?.();
          yield next.part;
        } else if (this.#over) {
          if (this.#failure !== null) throw this.#failure;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve;
          });
        }
      }
    } finally {
      this.#unread.length = 0; // the reader left: what still comes is dropped
      this.finishParts();
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
}

function toRemoteError(value: unknown): RemoteError {
  const record = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  return new RemoteError(typeof record['code'] === 'string' ? record['code'] : 'internal', typeof record['message'] === 'string' ? record['message'] : 'the runner reported an error without a message');
}
