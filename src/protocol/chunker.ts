/**
 * Where chunks of content end, by the content itself: a few bytes more at the front move the ends, and leave the chunks as they are. Both
 * ends of the protocol cut alike: what is said here is a part of it. Imports its own folder only.
 *
 * A gear hash runs over the bytes behind a chunk's first `leastBytes`: h = 2h + gear[byte], 32 bits. Up to `normalBytes` the chunk ends
 * behind a byte where the 18 highest bits of h are 0, from there on where the 14 highest are, and at `mostBytes` in any case: 64 KiB on
 * average (normalized chunking as in FastCDC, Xia et al., USENIX ATC 2016).
 */
import { chunkerWasm } from './chunker-wasm.ts';

export const leastBytes = 16 * 1024;
export const normalBytes = 64 * 1024;
/** Together with what says so, a chunk fits into a block. */
export const mostBytes = 240 * 1024;
export const earlyMask = 0xffffc000;
export const lateMask = 0xfffc0000;

/** Content that is being cut lies in memory of the chunker's own. */
export interface Chunker {
  /** For the content; `roomBytes` long. */
  readonly room: Uint8Array;
  /** Where the chunk ends that begins at `from` in the room, or 0: not before `to`, and where it does is shown only by what comes then. */
  cut(from: number, to: number): number;
}

export const roomBytes = 1024 * 1024;

/** 256 numbers of 32 bits that look random: xorshift32 from a fixed beginning. */
export function gearTable(): Uint32Array {
  let state = 0x9e3779b9;
  return Uint32Array.from({ length: 256 }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  });
}

/** As WebAssembly where there is any: three times as fast, and more where the engine is cold. */
export function createChunker(): Chunker {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly?: Wasm };
  return WebAssembly === undefined ? createPlainChunker() : createFastChunker(WebAssembly);
}

/** The same in plain words. */
export function createPlainChunker(): Chunker {
  const room = new Uint8Array(roomBytes);
  const gear = gearTable();
  return {
    room,
    cut: (from, to) => {
      const normal = Math.min(to, from + normalBytes);
      const most = Math.min(to, from + mostBytes);
      let hash = 0;
      let at = from + leastBytes;
      for (; at < normal; at += 1) {
        hash = ((hash << 1) + (gear[room[at] as number] as number)) | 0;
        if ((hash & earlyMask) === 0) return at + 1;
      }
      for (; at < most; at += 1) {
        hash = ((hash << 1) + (gear[room[at] as number] as number)) | 0;
        if ((hash & lateMask) === 0) return at + 1;
      }
      return to >= from + mostBytes ? from + mostBytes : 0;
    },
  };
}

/** In the module's memory: the gear table, then, from the next page on, the room. */
const roomAt = 64 * 1024;

interface ChunkerExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Places in memory. */
  cut(from: number, to: number): number;
}

/** Of what the engine has. */
interface Wasm {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

function createFastChunker({ Instance, Module }: Wasm): Chunker {
  const code = Uint8Array.from(atob(chunkerWasm), (letter) => letter.charCodeAt(0));
  const { memory, cut } = new Instance(new Module(code)).exports as ChunkerExports;
  new Uint32Array(memory.buffer, 0, 256).set(gearTable());
  return {
    room: new Uint8Array(memory.buffer, roomAt, roomBytes),
    cut: (from, to) => Math.max(0, cut(from + roomAt, to + roomAt) - roomAt),
  };
}
