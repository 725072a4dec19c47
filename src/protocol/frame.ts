/**
 * Framing of the channel between the laptop and the runner. Imports its own folder only.
 *
 *   frame   = u32le length of what follows | u8 kind | u32le CRC-32 | body
 *   'J'     = UTF-8 JSON, one message; the CRC-32 is the body's
 *   'B'     = a block: u32le call id | u64le offset | bytes; the CRC-32 is that of the bytes, then of id and offset
 *   'P'     = a block, packed: u32le call id | u64le offset | u32le length | u8 codec | packed bytes; the CRC-32 is that of the bytes
 *             as they were before, of which there are `length`, then of what stands before the packed bytes
 *
 * A block's CRC begins with its bytes, so that the receiver learns theirs without counting twice.
 * Copies are made by `new Uint8Array(view)`: on Node's Buffers, `slice` only makes another view.
 * Before the first frame the runner writes one magic line (see `magic.ts`).
 */
import type { Crc32 } from './crc32.ts';
import { type Codec, codecNumber, codecOf, type PackedBytes, type Unpack } from './packed.ts';

export const protocolVersion = 2;

/** Longest body that is sent or accepted: a lying peer can't make us allocate more. */
export const maxFrameBytes = 8 * 1024 * 1024;

/** Senders cut longer data into blocks of this size. */
export const blockBytes = 256 * 1024;

/**
 * `size`: what the frame weighs in flow control: the length of its body in bytes, were it not packed. `crc`: of the block's bytes alone.
 * Nothing of a packed one is checked before it is unpacked; `said` is its CRC-32.
 */
export type Frame =
  | { readonly kind: 'json'; readonly size: number; readonly value: unknown }
  | { readonly kind: 'block'; readonly size: number; readonly call: number; readonly offset: number; readonly bytes: Uint8Array; readonly crc: number }
  | PackedFrame;

export interface PackedFrame {
  readonly kind: 'packed';
  readonly size: number;
  readonly call: number;
  readonly offset: number;
  readonly codec: Codec;
  /** Once unpacked; at most `blockBytes`. */
  readonly length: number;
  readonly head: Uint8Array;
  readonly bytes: Uint8Array;
  readonly said: number;
}

/** The peer broke the protocol; the connection can't be used any more. */
export class FrameError extends Error {
  override readonly name: string = 'FrameError';
}

/** What arrived is not what was sent, or was no frame at all. Over another connection it may be one. */
export class DamagedFrameError extends FrameError {
  override readonly name = 'DamagedFrameError';
}

const jsonKind = 0x4a;
const blockKind = 0x42;
const packedKind = 0x50;
/** Length, kind and CRC. */
export const headerBytes = 9;
/** Call and offset. */
export const blockHeaderBytes = 12;
/** The same, the length and the codec. */
export const packedHeaderBytes = blockHeaderBytes + 5;
const afterLength = headerBytes - 4;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encodeJson(value: unknown, crc32: Crc32): Uint8Array {
  const text = JSON.stringify(value);
  if (text === undefined) throw new FrameError('a message is no JSON value');
  const body = encoder.encode(text);
  const out = new Uint8Array(headerBytes + body.length);
  writeHeader(out, jsonKind, body.length, crc32(body));
  out.set(body, headerBytes);
  return out;
}

/** What comes before a block's bytes: they are sent behind it, as they are. */
export function encodeBlockHeader(call: number, offset: number, bytes: Uint8Array, crc32: Crc32): Uint8Array {
  const out = new Uint8Array(headerBytes + blockHeaderBytes);
  const view = new DataView(out.buffer);
  view.setUint32(headerBytes, call, true);
  view.setBigUint64(headerBytes + 4, BigInt(offset), true);
  writeHeader(out, blockKind, blockHeaderBytes + bytes.length, crc32(out.subarray(headerBytes), crc32(bytes)));
  return out;
}

/** A whole block: cheaper than its header and its bytes apart where there are few of them. */
export function encodeBlock(call: number, offset: number, bytes: Uint8Array, crc32: Crc32): Uint8Array {
  const head = encodeBlockHeader(call, offset, bytes, crc32);
  const out = new Uint8Array(head.length + bytes.length);
  out.set(head);
  out.set(bytes, head.length);
  return out;
}

/** What comes before a packed block's bytes. */
export function encodePackedHeader(call: number, offset: number, { codec, bytes, length, crc }: PackedBytes, crc32: Crc32): Uint8Array {
  const out = new Uint8Array(headerBytes + packedHeaderBytes);
  const view = new DataView(out.buffer);
  view.setUint32(headerBytes, call, true);
  view.setBigUint64(headerBytes + 4, BigInt(offset), true);
  view.setUint32(headerBytes + blockHeaderBytes, length, true);
  out[headerBytes + blockHeaderBytes + 4] = codecNumber(codec);
  writeHeader(out, packedKind, packedHeaderBytes + bytes.length, crc32(out.subarray(headerBytes), crc));
  return out;
}

/** Checks it all. @throws DamagedFrameError when this is not what was packed and sent */
export function unpackFrame({ codec, bytes: packed, length, head, said }: PackedFrame, unpack: Unpack, crc32: Crc32): { bytes: Uint8Array; crc: number } {
  let bytes: Uint8Array;
  try {
    bytes = unpack(codec, packed, length);
  } catch {
    throw new DamagedFrameError('a packed block can not be unpacked');
  }
  const crc = crc32(bytes);
  if (bytes.length !== length || crc32(head, crc) !== said) throw new DamagedFrameError('a packed block arrived damaged');
  return { bytes, crc };
}

function writeHeader(out: Uint8Array, kind: number, bodyLength: number, crc: number): void {
  if (bodyLength + afterLength > maxFrameBytes) throw new FrameError(`a frame of ${bodyLength} bytes is longer than the ${maxFrameBytes} allowed`);
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  view.setUint32(0, bodyLength + afterLength, true);
  out[4] = kind;
  view.setUint32(5, crc, true);
}

/** Cuts a byte stream into frames, however the bytes arrive. Each byte is copied once; a block's bytes may be kept by the caller. */
export class FrameDecoder {
  readonly #crc32: Crc32;
  /** The beginning of a frame whose length isn't known yet, then the frame behind its length. */
  readonly #length = new Uint8Array(4);
  #frame: Uint8Array | null = null;
  #have = 0;

  constructor(crc32: Crc32) {
    this.#crc32 = crc32;
  }

  /** True when no unfinished frame is buffered. */
  get atBoundary(): boolean {
    return this.#frame === null && this.#have === 0;
  }

  /** @throws DamagedFrameError on a wrong CRC, an impossible length or kind; FrameError on a whole frame that makes no sense. */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < chunk.length; ) {
      const into: Uint8Array = this.#frame ?? this.#length;
      const piece = chunk.subarray(at, at + into.length - this.#have);
      into.set(piece, this.#have);
      at += piece.length;
      this.#have += piece.length;
      if (this.#have < into.length) break;
      this.#have = 0;
      if (this.#frame === null) this.#frame = new Uint8Array(checkedLength(this.#length));
      else {
        this.#frame = null;
        frames.push(decodeFrame(into, this.#crc32));
      }
    }
    return frames;
  }
}

function checkedLength(bytes: Uint8Array): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  if (length < afterLength || length > maxFrameBytes) throw new DamagedFrameError(`a frame says that it is ${length} bytes long`);
  return length;
}

/** `frame`: what is behind its length; kept by the block that is in it. */
function decodeFrame(frame: Uint8Array, crc32: Crc32): Frame {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const said = view.getUint32(1, true);
  const body = frame.subarray(afterLength);
  const size = body.length;
  if (frame[0] === jsonKind) {
    if (crc32(body) !== said) throw new DamagedFrameError('a message arrived damaged');
    try {
      return { kind: 'json', size, value: JSON.parse(decoder.decode(body)) };
    } catch {
      throw new FrameError('a JSON frame does not hold valid JSON');
    }
  }
  if (frame[0] === blockKind) {
    if (size < blockHeaderBytes) throw new DamagedFrameError('a block frame is shorter than its header');
    const bytes = body.subarray(blockHeaderBytes);
    const crc = crc32(bytes);
    if (crc32(body.subarray(0, blockHeaderBytes), crc) !== said) throw new DamagedFrameError('a block arrived damaged');
    return { kind: 'block', size, call: view.getUint32(afterLength, true), offset: offsetIn(view), bytes, crc };
  }
  if (frame[0] === packedKind) {
    if (size < packedHeaderBytes) throw new DamagedFrameError('a packed block is shorter than its header');
    const head = body.subarray(0, packedHeaderBytes);
    const length = view.getUint32(afterLength + blockHeaderBytes, true);
    const codec = codecOf(head[packedHeaderBytes - 1] as number);
    if (length > blockBytes || codec === undefined) throw new DamagedFrameError('a packed block has an impossible length or codec');
    const call = view.getUint32(afterLength, true);
    return {
      kind: 'packed',
      size: packedHeaderBytes + length,
      call,
      offset: offsetIn(view, DamagedFrameError),
      codec,
      length,
      head,
      bytes: body.subarray(packedHeaderBytes),
      said,
    };
  }
  throw new DamagedFrameError(`a frame has the unknown kind ${frame[0]}`);
}

function offsetIn(view: DataView, Failure = FrameError): number {
  const offset = view.getBigUint64(afterLength + 4, true);
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw new Failure('a block frame has an impossible offset');
  return Number(offset);
}
