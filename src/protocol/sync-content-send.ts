/**
 * Sends the content of many files over an open call, the same in both directions. Imports its own folder only; the two ends bring their
 * own disks. Small files travel many in a block, large ones block by block; see `content-records.ts`.
 */
import { createBlockWriter, type Packing } from './block-writer.ts';
import type { Call } from './call-state.ts';
import { sha256Bytes, smallFileBytes } from './content-id.ts';
import { mostHeadBytes, recordKinds, writePlain, writeWhole } from './content-records.ts';
import { blockBytes } from './frame.ts';
import { sendChunks } from './send-chunks.ts';
import { type ContentDisk, type FileToSend, makeRoom, putBare, putEnd, putGone, putPlain, type Sending, type Sent } from './send-records.ts';

export interface SendOptions<File> {
  /** True: the receiver has it, and it need not be sent. Absent: it has none. */
  readonly isSame?: (file: File) => Promise<boolean>;
  readonly packing: Packing | null;
  /** So many bytes of content are on their way, also such that will be sent again; so many need not travel. */
  readonly onBytes?: (sent: number, saved: number) => void;
  /** null: it was not there any more. */
  readonly onSent?: (file: File, sent: Sent | null) => void;
}

const attempts = 3;
/** Takes the place of a SHA-256 that isn't known yet. */
const unknown = '0'.repeat(2 * sha256Bytes);
/** Less room than that is left empty. */
const littleBytes = 1024;

/** All of them, each as it is now, in their order. */
export async function sendFiles<File extends FileToSend>(
  call: Pick<Call, 'block' | 'packed'>,
  files: Iterable<File>,
  disk: ContentDisk<File>,
  { packing, onBytes = () => {}, onSent = () => {}, isSame }: SendOptions<File>,
): Promise<void> {
  const sending: Sending<File> = {
    disk,
    out: createBlockWriter(call, packing),
    onBytes,
    onSent,
    head: new Uint8Array(mostHeadBytes),
    whole: null,
    chunker: null,
  };
  for (const file of files) {
    if (isSame !== undefined && (await isSame(file))) {
      await putPlain(recordKinds.same, file, sending);
      continue;
    }
    if (file.size + mostHeadBytes <= blockBytes) {
      const wait = sending.out.room(file.size + mostHeadBytes);
      if (wait !== null) await wait;
      if (inOneRecord(file, sending)) continue;
    }
    if (file.size <= smallFileBytes && (await inOneReading(file, sending))) continue;
    if (disk.chunks === null) await inPieces(file, sending);
    else await sendChunks(file, disk.chunks, sending, inOneReading);
  }
  await sending.out.finish();
}

/** Reads it to where it belongs in the block, as far as that can be known before. False: it has become too long for that. */
function inOneRecord<File extends FileToSend>(file: File, sending: Sending<File>): boolean {
  const { disk, out, head } = sending;
  const { index, size, announced } = file;
  const start = writeWhole(out.block, out.used, index, { size, id: announced ?? unknown, torn: false }, announced);
  const read = disk.readSmall(file, out.block.subarray(start, start + size + 1));
  if (read === 'long') return false;
  if (read === null) {
    out.used = writePlain(out.block, out.used, recordKinds.gone, index);
    sending.onSent(file, null);
    return true;
  }
  const id = disk.hashing.hex(out.block.subarray(start, start + read.size));
  const told = { size: read.size, id, torn: read.torn };
  const headBytes = writeWhole(head, 0, index, told, announced);
  if (out.used + headBytes !== start) out.block.copyWithin(out.used + headBytes, start, start + read.size);
  out.block.set(head.subarray(0, headBytes), out.used);
  out.used += headBytes + read.size;
  sending.onBytes(read.size, 0);
  sending.onSent(file, { ...told, stamp: read.stamp });
  return true;
}

/** All of it is read before anything of it is sent, so that it is never torn by the time that sending takes. */
async function inOneReading<File extends FileToSend>(file: File, sending: Sending<File>): Promise<boolean> {
  const { disk } = sending;
  sending.whole ??= new Uint8Array(smallFileBytes + 1);
  const read = disk.readSmall(file, sending.whole);
  if (read === 'long') return false;
  if (read === null) {
    await putGone(file, sending);
    return true;
  }
  const bytes = sending.whole.subarray(0, read.size);
  await putPlain(recordKinds.begin, file, sending);
  for (let at = 0; at < bytes.length; ) at += await sendData(sending, bytes.length - at, (into) => copyInto(into, bytes, at));
  await putEnd(file, { ...read, id: disk.hashing.hex(bytes) }, sending);
  return true;
}

function copyInto(into: Uint8Array, bytes: Uint8Array, at: number): number {
  into.set(bytes.subarray(at, at + into.length));
  return into.length;
}

/** Reads while it sends: a file that changed meanwhile is sent again. */
async function inPieces<File extends FileToSend>(file: File, sending: Sending<File>): Promise<void> {
  const { disk } = sending;
  for (let attempt = 1; ; attempt += 1) {
    const source = disk.open(file);
    if (source === null) return await putGone(file, sending);
    try {
      const stamp = source.stamp();
      const hash = disk.hashing.start();
      await putPlain(recordKinds.begin, file, sending);
      let size = 0;
      for (;;) {
        const sent = await sendData(sending, blockBytes, (into) => {
          const read = source.read(into);
          hash.update(into.subarray(0, read));
          return read;
        });
        if (sent === 0) break;
        size += sent;
      }
      const torn = source.stamp() !== stamp;
      if (!torn || attempt === attempts) {
        await putEnd(file, { size, id: hash.hex(), torn, stamp }, sending);
        return;
      }
    } finally {
      source.close();
    }
    await putBare(recordKinds.again, sending);
  }
}

/** As much as the block has room for, at most `wanted` bytes; gives how many `fill` gave. */
async function sendData<File>(sending: Sending<File>, wanted: number, fill: (into: Uint8Array) => number): Promise<number> {
  const { out, onBytes } = sending;
  await makeRoom(sending, mostHeadBytes + Math.min(wanted, littleBytes));
  const most = Math.min(wanted, blockBytes - out.used - mostHeadBytes);
  const start = writePlain(out.block, out.used, recordKinds.data, most);
  const read = fill(out.block.subarray(start, start + most));
  if (read === 0) return 0;
  const from = writePlain(out.block, out.used, recordKinds.data, read);
  if (from !== start) out.block.copyWithin(from, start, start + read);
  out.used = from + read;
  onBytes(read, 0);
  return read;
}
