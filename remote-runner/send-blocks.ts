/** Sends blocks of a log one behind the other: one is read and packed while the one before it is on its way. */
import type { Call } from '../src/protocol/call-state.ts';
import { blockBytes } from '../src/protocol/frame.ts';
import { createPackPace } from '../src/protocol/pack-pace.ts';
import { crc32 } from './checksum.ts';
import { packer } from './pack.ts';
import { createYoungGarbage } from './young-garbage.ts';

export interface BlockSender {
  /** To be filled; what was sent with it before has left. Has room for so many bytes, or for a whole block where they are more. */
  next(bytes: number): Promise<Buffer>;
  /** What `next` gave, or its beginning. Does not wait: the next one is read meanwhile. */
  send(offset: number, block: Uint8Array): void;
  /** All has left. */
  sent(): Promise<void>;
}

/** What comes live is mostly less, and whole blocks are then never set aside. */
const fewBytes = 16 * 1024;

/** `packed`: how the follower can unpack blocks, if at all. Only whole ones are packed: who gets less is not behind. */
export function blockSender(call: Call, packed: unknown): BlockSender {
  const way = packer(packed);
  const pace = createPackPace();
  const used = createYoungGarbage();
  let [free, other] = [Buffer.alloc(0), Buffer.alloc(0)];
  let [before, last] = [Promise.resolve(), Promise.resolve()];
  const leave = (offset: number, block: Uint8Array): Promise<void> => {
    if (way === null || block.length < blockBytes) return call.block(offset, block);
    const bytes = pace.packs ? way.pack(block) : null;
    if (bytes !== null) {
      pace.packed(block.length, bytes.length);
      used(Math.max(bytes.length, block.length >> 2));
    }
    pace.sent(block.length);
    if (bytes === null || bytes.length >= block.length) return call.block(offset, block);
    return call.packed(offset, { codec: way.codec, bytes, length: block.length, crc: crc32(block) });
  };
  return {
    async next(bytes) {
      await before;
      if (free.length < Math.min(bytes, blockBytes)) free = Buffer.allocUnsafeSlow(bytes > fewBytes ? blockBytes : fewBytes);
      return free;
    },
    send(offset, block) {
      [free, other] = [other, free];
      [before, last] = [last, leave(offset, block)];
      last.catch(() => {}); // told by `next` or `sent`
    },
    async sent() {
      await before;
      await last;
    },
  };
}
