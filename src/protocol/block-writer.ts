/** Fills blocks and sends them one behind the other: one is filled while the one before it is on its way. Imports its own folder only. */
import type { Call } from './call-state.ts';
import type { Crc32 } from './crc32.ts';
import { blockBytes } from './frame.ts';
import type { PackPace } from './pack-pace.ts';
import type { Packer } from './packed.ts';

export interface BlockWriter {
  /** The present block; the first `used` bytes of it are taken. Another one after each `room` that was waited for. */
  block: Uint8Array;
  used: number;
  /** null: the present block has room for so many more bytes. Else to be awaited. At most `blockBytes`. */
  room(bytes: number): Promise<void> | null;
  /** Resolves when everything was taken over by the connection. */
  finish(): Promise<void>;
}

/** How blocks are packed on their way, if at all. */
export interface Packing {
  readonly packer: Packer;
  readonly pace: PackPace;
  readonly crc32: Crc32;
  /** To be told how many bytes were used for a moment. */
  readonly garbage: (bytes: number) => void;
}

/** Less is not worth a try. */
const fewBytes = 512;
/** What a block is judged by before all of it is packed: so many pieces of it, each of so many bytes. */
const probes = 4;
const probeBytes = 1024;
const denseShare = 0.9;
/** Behind dense blocks so many more are not even looked at: one for the first, one more for each next, at most: */
const mostUnseen = 15;

export function createBlockWriter(call: Pick<Call, 'block' | 'packed'>, packing: Packing | null): BlockWriter {
  const tryPacking = packing === null ? () => null : createTry(packing);
  const leave = (offset: number, block: Uint8Array): Promise<void> => {
    const bytes = tryPacking(block);
    packing?.pace.sent(block.length);
    if (packing === null || bytes === null) return call.block(offset, block);
    return call.packed(offset, { codec: packing.packer.codec, bytes, length: block.length, crc: packing.crc32(block) });
  };

  let other: Uint8Array = new Uint8Array(0);
  let [before, last]: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()];
  let sent = 0;
  const send = () => {
    if (writer.used === 0) return;
    const full = writer.block;
    [before, last] = [last, leave(sent, full.subarray(0, writer.used))];
    last.catch(() => {}); // told by `room` or `finish`
    sent += writer.used;
    [writer.block, other] = [other, full];
    writer.used = 0;
  };
  const writer: BlockWriter = {
    block: new Uint8Array(blockBytes),
    used: 0,
    room: (bytes: number) => (writer.used + bytes <= blockBytes ? null : another()),
    finish: async () => {
      send();
      await before;
      await last;
    },
  };
  const another = async () => {
    send();
    await before;
    if (writer.block.length === 0) writer.block = new Uint8Array(blockBytes);
  };
  return writer;
}

/** null: the block is to travel as it is. */
function createTry({ packer, pace, garbage }: Packing): (block: Uint8Array) => Uint8Array | null {
  const sample = new Uint8Array(probes * probeBytes);
  let [dense, unseen] = [0, 0];
  const pack = (bytes: Uint8Array) => {
    const packed = packer.pack(bytes);
    garbage(Math.max(packed.length, bytes.length >> 2));
    return packed.length < bytes.length * denseShare ? packed : null;
  };
  return (block) => {
    if (!pace.packs || block.length < fewBytes) return null;
    if (unseen > 0) {
      unseen -= 1;
      return null;
    }
    const isWorthIt = block.length < 4 * sample.length || pack(sampled(block, sample)) !== null;
    const packed = isWorthIt ? pack(block) : null;
    dense = packed === null ? Math.min(dense + 1, mostUnseen) : 0;
    unseen = dense;
    return packed;
  };
}

/** From its beginning to its end, a piece here and there. */
function sampled(block: Uint8Array, sample: Uint8Array): Uint8Array {
  for (let probe = 0; probe < probes; probe += 1) {
    const from = Math.floor((probe * (block.length - probeBytes)) / (probes - 1));
    sample.set(block.subarray(from, from + probeBytes), probe * probeBytes);
  }
  return sample;
}
