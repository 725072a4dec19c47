/** One call at one end: what was received and not yet read, what may still be sent, and how it ended. Used by `peer.ts` alone. */
import { blockHeaderBytes, FrameError } from './frame.ts';
import type { PackedBytes } from './packed.ts';

export interface Block {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** CRC-32 of the bytes, checked. */
  readonly crc: number;
  /** How many they were on their way: fewer where they came packed. */
  readonly sentBytes: number;
}
export type Part = { readonly kind: 'event'; readonly value: unknown } | { readonly kind: 'block'; readonly block: Block };

/** One open call, seen from either end. */
export interface Call {
  readonly op: string;
  readonly params: unknown;
  /** Parts from the other side in order; ends when it sends no more. Read by one reader only; one that leaves early drops what still comes. */
  parts(): AsyncIterable<Part>;
  /** Both resolve when the bytes were taken over by the connection: await them, that is the back-pressure. They reject once the call has ended. */
  event(value: unknown): Promise<void>;
  block(offset: number, bytes: Uint8Array): Promise<void>;
  /** Hands a copy of a small block to the connection before it returns; or says false and sends nothing: where that takes waiting. */
  blockNow(offset: number, bytes: Uint8Array): boolean;
  /**
   * Told of a block that comes while somebody waits for the next part, before anything else happens: true, and that was all there is to do
   * with it, and the wait goes on. A line of a log is there a dozen turns of the queue sooner.
   */
  onBlock(take: (block: Block) => boolean): void;
  /** A block whose bytes were packed; only where the other side has said that it unpacks them. At most `blockBytes` long before. */
  packed(offset: number, packed: PackedBytes): Promise<void>;
  /** Aborted when the other side cancels the call or the connection ends. */
  readonly signal: AbortSignal;
}

/** Body bytes of one call that may be on their way or unread at the other end. */
export const windowBytes = 4 * 1024 * 1024;
/** Reading is acknowledged in steps of this size. */
const ackBytes = 512 * 1024;

/** A frame larger than the window passes when all but an unfinished acknowledgement step has been read. */
function exceedsWindow(unread: number, size: number): boolean {
  return unread > ackBytes && unread + size > windowBytes;
}

/** An error that the other side reported, with its code. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The call was cancelled, or the connection under it ended. */
export class PeerClosedError extends Error {
  override readonly name = 'PeerClosedError';
}

/** null: `size` more bytes may be sent at once. Else resolves when they may; rejects when the call has ended. */
export type Claim = (size: number) => Promise<void> | null;

export interface Wire {
  event(value: unknown, claim: Claim): Promise<void>;
  block(offset: number, bytes: Uint8Array, claim: Claim): Promise<void>;
  /** Claimed already. */
  blockNow(offset: number, bytes: Uint8Array): void;
  packed(offset: number, packed: PackedBytes, claim: Claim): Promise<void>;
  ack(size: number): void;
}

/** Somebody who waits for the next part. */
interface Reader {
  readonly resolve: (next: IteratorResult<Part, undefined>) => void;
  readonly reject: (error: Error) => void;
}

export class CallState implements Call {
  readonly op: string;
  readonly params: unknown;
  readonly result: Promise<unknown>;
  readonly #wire: Wire;
  readonly #abort = new AbortController();
  readonly #settle: { resolve: (value: unknown) => void; reject: (error: Error) => void };

  readonly #unread: { readonly part: Part; readonly size: number }[] = [];
  #unreadBytes = 0;
  #unacknowledged = 0;
  #partsOver = false;
  #readerLeft = false;
  #reader: Reader | null = null;
  #takeBlock: (block: Block) => boolean = () => false;

  #sentBytes = 0;
  #failure: Error | null = null;
  #ended = false;
  /** Those that wait for room. */
  #claims = 0;
  #lastClaim: Promise<void> = Promise.resolve();
  #wakeSender: () => void = () => {};

  constructor(op: string, params: unknown, wire: Wire) {
    this.op = op;
    this.params = params;
    this.#wire = wire;
    let settle: { resolve: (value: unknown) => void; reject: (error: Error) => void } | undefined;
    this.result = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#settle = settle as NonNullable<typeof settle>; // the executor ran already
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  event(value: unknown): Promise<void> {
    return this.#wire.event(value, this.#claim);
  }

  block(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#wire.block(offset, bytes, this.#claim);
  }

  packed(offset: number, packed: PackedBytes): Promise<void> {
    return this.#wire.packed(offset, packed, this.#claim);
  }

  blockNow(offset: number, bytes: Uint8Array): boolean {
    const size = blockHeaderBytes + bytes.length;
    if (!this.#isFree(size)) return false;
    this.#sentBytes += size;
    this.#wire.blockNow(offset, bytes);
    return true;
  }

  /** In the order of the calls, also when they are not awaited one by one. */
  readonly #claim: Claim = (size) => {
    if (this.#isFree(size)) {
      this.#sentBytes += size;
      return null;
    }
    this.#claims += 1;
    const turn = this.#lastClaim.then(() => this.#waitForRoom(size)).finally(() => (this.#claims -= 1));
    this.#lastClaim = turn.catch(() => {});
    return turn;
  };

  #isFree(size: number): boolean {
    return !this.#ended && this.#claims === 0 && !exceedsWindow(this.#sentBytes, size);
  }

  async #waitForRoom(size: number): Promise<void> {
    while (!this.#ended && exceedsWindow(this.#sentBytes, size)) {
      await new Promise<void>((resolve) => {
        this.#wakeSender = resolve;
      });
    }
    if (this.#ended) throw this.#failure ?? new PeerClosedError('the call has ended');
    this.#sentBytes += size;
  }

  /** The other side has read so many bytes. */
  acknowledge(size: unknown): void {
    if (typeof size !== 'number' || !(size >= 0 && size <= this.#sentBytes)) throw new FrameError('the other side acknowledges what was never sent');
    this.#sentBytes -= size;
    this.#wakeSender();
  }

  /** @throws FrameError when the other side ignores the window */
  push(part: Part, size: number): void {
    if (this.#partsOver) return;
    if (this.#readerLeft) {
      this.#acknowledge(size);
      return;
    }
    if (exceedsWindow(this.#unreadBytes, size)) throw new FrameError('the other side sends more than it may');
    if (this.#reader !== null) {
      this.#acknowledge(size);
      if (part.kind === 'block' && this.#takeBlock(part.block)) return;
      this.#takeReader()?.resolve({ done: false, value: part });
      return;
    }
    this.#unread.push({ part, size });
    this.#unreadBytes += size;
  }

  onBlock(take: (block: Block) => boolean): void {
    this.#takeBlock = take;
  }

  finishParts(): void {
    this.#partsOver = true;
    const reader = this.#takeReader();
    if (reader !== null) this.#next().then(reader.resolve, reader.reject);
  }

  #takeReader(): Reader | null {
    const reader = this.#reader;
    this.#reader = null;
    return reader;
  }

  succeed(result: unknown): void {
    this.#settle.resolve(result);
    this.#end();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#settle.reject(error);
    this.#abort.abort(error);
    this.#end();
  }

  /** No generator: each of its steps would cost a line of a log some turns of the queue. */
  parts(): AsyncIterable<Part> {
    const leave = async (): Promise<IteratorResult<Part, undefined>> => {
      this.#leave();
      return { done: true, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next: () => this.#next(), return: leave }) };
  }

  #next(): Promise<IteratorResult<Part, undefined>> {
    const next = this.#unread.shift();
    if (next !== undefined) {
      this.#unreadBytes -= next.size;
      this.#acknowledge(next.size);
      return Promise.resolve({ done: false, value: next.part });
    }
    if (!this.#partsOver) {
      return new Promise((resolve, reject) => {
        this.#reader = { resolve, reject };
      });
    }
    this.#leave();
    return this.#failure === null ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(this.#failure);
  }

  #leave(): void {
    this.#readerLeft = true;
    for (const { size } of this.#unread.splice(0)) this.#acknowledge(size);
    this.#unreadBytes = 0;
  }

  #acknowledge(size: number): void {
    this.#unacknowledged += size;
    if (this.#ended || (this.#unacknowledged < ackBytes && !this.#readerLeft)) return;
    this.#wire.ack(this.#unacknowledged);
    this.#unacknowledged = 0;
  }

  #end(): void {
    this.#ended = true;
    this.finishParts();
    this.#wakeSender();
  }
}
