/**
 * Framing of the channel between the laptop and the runner. Imports nothing.
 *
 *   frame   = u32le length of what follows | u8 kind | body
 *   'J'     = UTF-8 JSON, one message
 *   'B'     = a block: u32le call id | u64le offset | bytes
 *
 * Copies are made by `new Uint8Array(view)`: on Node's Buffers, `slice` only makes another view.
 * Before the first frame the runner writes one magic line (see `magicLine`); whatever a login shell
 * printed before it is discarded.
 */

export const protocolVersion = 1;

/** Longest body that is sent or accepted: a lying peer can't make us allocate more. */
export const maxFrameBytes = 8 * 1024 * 1024;

/** Senders cut longer data into blocks of this size. */
export const blockBytes = 256 * 1024;

const magicPrefix = 'GPU-RUN-RUNNER/';

const watchedWord = ' watched';

/** What the runner says of itself. */
export interface Introduction {
  readonly version: string;
  /** The watchdog has an order that this version can read. */
  readonly isWatched: boolean;
}

export function magicLine({ version, isWatched }: Introduction): string {
  return `\n${magicPrefix}${protocolVersion} ${version}${isWatched ? watchedWord : ''}\n`;
}

/** `size` is the length of the body in bytes: what the frame weighs in flow control. */
export type Frame =
  | { readonly kind: 'json'; readonly size: number; readonly value: unknown }
  | { readonly kind: 'block'; readonly size: number; readonly call: number; readonly offset: number; readonly bytes: Uint8Array };

/** The peer broke the protocol; the connection can't be used any more. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const jsonKind = 0x4a;
const blockKind = 0x42;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encodeJson(value: unknown): Uint8Array {
  const text = JSON.stringify(value);
  if (text === undefined) throw new FrameError('a message is no JSON value');
  const body = encoder.encode(text);
  return withHeader(jsonKind, body.length, (out) => out.set(body, 5));
}

export function encodeBlock(call: number, offset: number, bytes: Uint8Array): Uint8Array {
  return withHeader(blockKind, bytes.length + 12, (out, view) => {
    view.setUint32(5, call, true);
    view.setBigUint64(9, BigInt(offset), true);
    out.set(bytes, 17);
  });
}

function withHeader(kind: number, bodyLength: number, fill: (out: Uint8Array, view: DataView) => void): Uint8Array {
  if (bodyLength + 1 > maxFrameBytes) throw new FrameError(`a frame of ${bodyLength} bytes is longer than the ${maxFrameBytes} allowed`);
  const out = new Uint8Array(bodyLength + 5);
  const view = new DataView(out.buffer);
  view.setUint32(0, bodyLength + 1, true);
  out[4] = kind;
  fill(out, view);
  return out;
}

/** Cuts a byte stream into frames, however the bytes arrive. Block bytes are copies that the caller may keep. */
export class FrameDecoder {
  /** Bytes of the unfinished frame, in the pieces that arrived: they are joined once, when it is complete. */
  #pieces: Uint8Array[] = [];
  #have = 0;
  #need = 4;

  /** True when no unfinished frame is buffered. */
  get atBoundary(): boolean {
    return this.#have === 0;
  }

  /** @throws FrameError on a frame that is too long, empty, of unknown kind or not valid JSON. */
  push(chunk: Uint8Array): Frame[] {
    this.#pieces.push(chunk);
    this.#have += chunk.length;
    if (this.#have < this.#need) {
      this.#pieces[this.#pieces.length - 1] = new Uint8Array(chunk); // the caller may use its buffer again
      return [];
    }
    const data = concat(this.#pieces);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const frames: Frame[] = [];
    let at = 0;
    this.#need = 4;
    while (data.length - at >= 4) {
      const length = view.getUint32(at, true);
      if (length === 0 || length > maxFrameBytes) throw new FrameError(`a frame says that it is ${length} bytes long`);
      this.#need = 4 + length;
      if (data.length - at < this.#need) break;
      frames.push(decodeBody(data.subarray(at + 4, at + this.#need)));
      at += this.#need;
      this.#need = 4;
    }
    this.#have = data.length - at;
    this.#pieces = this.#have === 0 ? [] : [new Uint8Array(data.subarray(at))];
    return frames;
  }
}

function decodeBody(body: Uint8Array): Frame {
  const size = body.length - 1;
  if (body[0] === jsonKind) {
    try {
      return { kind: 'json', size, value: JSON.parse(decoder.decode(body.subarray(1))) };
    } catch {
      throw new FrameError('a JSON frame does not hold valid JSON');
    }
  }
  if (body[0] === blockKind) {
    if (size < 12) throw new FrameError('a block frame is shorter than its header');
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const offset = view.getBigUint64(5, true);
    if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw new FrameError('a block frame has an impossible offset');
    return { kind: 'block', size, call: view.getUint32(1, true), offset: Number(offset), bytes: new Uint8Array(body.subarray(13)) };
  }
  throw new FrameError(`a frame has the unknown kind ${body[0]}`);
}

const longestNoise = 1024 * 1024;
const shownNoise = 4096;

/** Finds the magic line in front of the frames. */
export class MagicScanner {
  /** The end of what was seen: enough to show, and always the whole unfinished line. */
  #tail: Uint8Array = new Uint8Array(0);
  #seen = 0;
  #introduced = false;

  /** True once the magic line was found. */
  get introduced(): boolean {
    return this.#introduced;
  }

  /** Everything before the magic line, at most the last 4 KiB of it: shown when the runner never answers. */
  get noise(): string {
    return new TextDecoder().decode(this.#tail.subarray(-shownNoise));
  }

  /**
   * null until the whole line has been seen; then what it says and the bytes after it.
   * @throws FrameError when the peer speaks another protocol version, or after 1 MiB without the line.
   */
  push(chunk: Uint8Array): (Introduction & { readonly rest: Uint8Array }) | null {
    this.#seen += chunk.length;
    this.#tail = concat([this.#tail, chunk]);
    const match = /\nGPU-RUN-RUNNER\/(\d+) ([^\n]*)\n/.exec(new TextDecoder('latin1').decode(this.#tail));
    if (match === null) {
      if (this.#seen > longestNoise) throw new FrameError('the runner did not introduce itself within 1 MiB of output');
      const line = this.#tail.lastIndexOf(0x0a);
      this.#tail = this.#tail.subarray(Math.max(0, Math.min(line, this.#tail.length - shownNoise)));
      return null;
    }
    if (Number(match[1]) !== protocolVersion) {
      throw new FrameError(`the runner speaks protocol ${match[1]}, this gpu-run speaks ${protocolVersion}`);
    }
    this.#introduced = true;
    const words = match[2] ?? '';
    const isWatched = words.endsWith(watchedWord);
    const version = isWatched ? words.slice(0, -watchedWord.length) : words;
    return { version, isWatched, rest: this.#tail.subarray(match.index + match[0].length) };
  }
}

/** One piece comes back as it is, not copied. */
function concat(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array;
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
