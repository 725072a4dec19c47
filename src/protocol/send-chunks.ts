/**
 * Sends a large file in one reading: it is cut into chunks, each is identified, and those that the receiver has in an older version, or
 * has from a push that was cut, do not travel. Imports its own folder only.
 */
import { ChunkListBuilder, createChunkReader, type FindChunk, indexChunks } from './chunk-list.ts';
import { smallFileBytes } from './content-id.ts';
import { mostCopied, mostHeadBytes, recordKinds, writeCopy, writePlain } from './content-records.ts';
import { type ContentSource, type FileToSend, makeRoom, putBare, putEnd, putGone, putPlain, type Sending } from './send-records.ts';

type Chunks = NonNullable<Sending<unknown>['disk']['chunks']>;

interface Reading {
  readonly next: () => Uint8Array | null;
  readonly list: ChunkListBuilder;
}

const attempts = 3;
/** Between two pauses, of what is read and does not travel. */
const pauseBytes = 4 * 1024 * 1024;

/** @param small sends a file that has become small in the meantime; false: it is none any more */
export async function sendChunks<File extends FileToSend>(
  file: File,
  chunks: Chunks,
  sending: Sending<File>,
  small: (file: File, sending: Sending<File>) => Promise<boolean>,
): Promise<void> {
  const known = file.base === null ? null : chunks.memory.known(file.base);
  const find = known === null ? () => null : indexChunks(known);
  let isPartTried = file.part === null;
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const source = sending.disk.open(file);
    if (source === null) break;
    try {
      const outcome = await sendOnce(file, isPartTried ? null : file.part, attempt === attempts, source, find, chunks, sending);
      if (outcome === 'sent') return;
      if (outcome === 'small' && (await small(file, sending))) return;
      if (outcome === 'other part') attempt -= 1;
      isPartTried = true;
    } finally {
      source.close();
    }
  }
  await putGone(file, sending);
}

/** `isLast`: it is sent also when it is torn. */
async function sendOnce<File extends FileToSend>(
  file: File,
  part: FileToSend['part'],
  isLast: boolean,
  source: ContentSource,
  find: FindChunk,
  { memory, createChunker }: Chunks,
  sending: Sending<File>,
): Promise<'sent' | 'small' | 'changed' | 'other part'> {
  if (source.size <= smallFileBytes) return 'small';
  sending.chunker ??= createChunker();
  const reading: Reading = { next: createChunkReader(source.read, sending.chunker), list: new ChunkListBuilder() };
  const stamp = source.stamp();
  if (part !== null && !(await skipPart(part, reading, sending))) return 'other part';
  await putPlain(recordKinds.begin, file, sending);
  if (part !== null) await putBare(recordKinds.keep, sending);
  await sendRest(reading, find, sending);
  const torn = source.stamp() !== stamp;
  const { size, bytes } = reading.list;
  if (size > smallFileBytes && (!torn || isLast)) {
    const id = reading.list.id(sending.disk.hashing);
    if (!torn) memory.keep(id, bytes);
    await putEnd(file, { size, id, torn, stamp }, sending);
    return 'sent';
  }
  await putBare(recordKinds.again, sending);
  return size > smallFileBytes ? 'changed' : 'small';
}

/** True: the receiver's part is the beginning of this file, and has been read. */
async function skipPart<File>(part: NonNullable<FileToSend['part']>, { next, list }: Reading, { disk, onBytes }: Sending<File>): Promise<boolean> {
  for (let unseen = 0; list.size < part.size; ) {
    const chunk = next();
    if (chunk === null) return false;
    list.add(chunk.length, disk.hashing.raw(chunk));
    unseen += chunk.length;
    if (unseen < pauseBytes) continue;
    unseen = 0;
    await disk.pause();
  }
  if (list.size !== part.size || list.id(disk.hashing) !== part.id) return false;
  onBytes(0, part.size);
  return true;
}

async function sendRest<File>({ next, list }: Reading, find: FindChunk, sending: Sending<File>): Promise<void> {
  const { disk, out, onBytes } = sending;
  let [first, count, unseen] = [0, 0, 0];
  const putCopy = async () => {
    if (count === 0) return;
    await makeRoom(sending, mostHeadBytes);
    out.used = writeCopy(out.block, out.used, first, count);
    count = 0;
  };
  for (let chunk = next(); chunk !== null; chunk = next()) {
    const digest = disk.hashing.raw(chunk);
    list.add(chunk.length, digest);
    const found = find(chunk.length, digest);
    if (found === null) {
      await putCopy();
      await makeRoom(sending, mostHeadBytes + chunk.length);
      out.used = writePlain(out.block, out.used, recordKinds.chunk, chunk.length);
      out.block.set(chunk, out.used);
      out.used += chunk.length;
      onBytes(chunk.length, 0);
      continue;
    }
    if (found !== first + count || count === mostCopied) {
      await putCopy();
      first = found;
    }
    count += 1;
    onBytes(0, chunk.length);
    unseen += chunk.length;
    if (unseen < pauseBytes) continue;
    unseen = 0;
    await disk.pause();
  }
  await putCopy();
}
