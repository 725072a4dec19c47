/**
 * Framing of the channel between the laptop and the runner. Imports nothing.
 *
 *   frame   = u32le length of what follows | u8 kind | body
 *   'J'     = UTF-8 JSON, one message
 *   'B'     = a block: u32le call id | u64le offset | bytes
 *
 * Before the first frame the runner writes one magic line (see `magicLine`); whatever a login shell
 * printed before it is discarded.
 */

export const protocolVersion = 1;

/** Longest body that is sent or accepted: a lying peer can't make us allocate more. */
export const maxFrameBytes = 8 * 1024 * 1024;

/** Senders cut longer data into blocks of this size. */
export const blockBytes = 256 * 1024;

const magicPrefix = 'GPU-RUN-RUNNER/';

export function magicLine(version: string): string {
  return `\n${magicPrefix}${protocolVersion} ${version}\n`;
}

export type Frame =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'block'; readonly call: number; readonly offset: number; readonly bytes: Uint8Array };

/** The peer broke the protocol; the connection can't be used any more. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const jsonKind = 0x4a;
const blockKind = 0x42;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encodeJson(value: unknown): Uint8Array {
  const body = encoder.encode(JSON.stringify(value));
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
  #pending: Uint8Array = new Uint8Array(0);

  /** True when no unfinished frame is buffered. */
  get atBoundary(): boolean {
    return this.#pending.length === 0;
  }

  /** @throws FrameError on a frame that is too long, empty, of unknown kind or not valid JSON. */
  push(chunk: Uint8Array): Frame[] {
    const data = this.#pending.length === 0 ? chunk : concat(this.#pending, chunk);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const frames: Frame[] = [];
    let at = 0;
    while (data.length - at >= 4) {
      const length = view.getUint32(at, true);
      if (length === 0 || length > maxFrameBytes) throw new FrameError(`a frame says that it is ${length} bytes long`);
      if (data.length - at - 4 < length) break;
      frames.push(decodeBody(data.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    this.#pending = data.slice(at);
    return frames;
  }
}

function decodeBody(body: Uint8Array): Frame {
  if (body[0] === jsonKind) {
    try {
      return { kind: 'json', value: JSON.parse(decoder.decode(body.subarray(1))) };
    } catch {
      throw new FrameError('a JSON frame does not hold valid JSON');
    }
  }
  if (body[0] === blockKind) {
    if (body.length < 13) throw new FrameError('a block frame is shorter than its header');
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const offset = view.getBigUint64(5, true);
    if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw new FrameError('a block frame has an impossible offset');
    return { kind: 'block', call: view.getUint32(1, true), offset: Number(offset), bytes: body.slice(13) };
  }
  throw new FrameError(`a frame has the unknown kind ${body[0]}`);
}

/** Finds the magic line in front of the frames. */
export class MagicScanner {
  #seen: Uint8Array = new Uint8Array(0);

  /** Everything before the magic line, at most the last 4 KiB of it: shown when the runner never answers. */
  get noise(): string {
    return new TextDecoder().decode(this.#seen.slice(-4096));
  }

  /**
   * null until the whole line has been seen; then the runner's version and the bytes after the line.
   * @throws FrameError when the peer speaks another protocol version, or after 1 MiB without the line.
   */
  push(chunk: Uint8Array): { readonly version: string; readonly rest: Uint8Array } | null {
    this.#seen = concat(this.#seen, chunk);
    const text = new TextDecoder('latin1').decode(this.#seen);
    const match = /(?:^|\n)GPU-RUN-RUNNER\/(\d+) ([^\n]*)\n/.exec(text);
    if (match === null) {
      if (this.#seen.length > 1024 * 1024) throw new FrameError('the runner did not introduce itself within 1 MiB of output');
      return null;
    }
    if (Number(match[1]) !== protocolVersion) {
      throw new FrameError(`the runner speaks protocol ${match[1]}, this gpu-run speaks ${protocolVersion}`);
    }
    return { version: match[2] ?? '', rest: this.#seen.slice(match.index + match[0].length) };
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
