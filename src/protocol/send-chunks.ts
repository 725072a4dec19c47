/**
 * Sends a large file in one reading: it is cut into chunks, each is identified, and those that the receiver has in an older version, or
 * has from a push that was cut, do not travel. Imports its own folder only.
 */
import { type ChunkList, ChunkListBuilder, createChunkReader, type FindChunk, indexChunks } from './chunk-list.ts';
import { type Chunker, mostBytes } from './chunker.ts';
import { type Hashing, smallFileBytes } from './content-id.ts';
import { mostCopied, mostHeadBytes, recordKinds, writeCopy, writePlain } from './content-records.ts';
import { type ContentSource, type FileToSend, makeRoom, putBare, putEnd, putGone, putPlain, type Sending } from './send-records.ts';

type Chunks = NonNullable<Sending<unknown>['disk']['chunks']>;

interface ReadChunk {
  readonly length: number;
  readonly digest: Uint8Array;
  /** Good until the next one is asked for. null: the file has become shorter. */
  bytes(): Uint8Array | null;
}

interface Reading {
  readonly next: () => ReadChunk | null;
  /** Of those that were read. */
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
  const stamp = source.stamp();
  const isMade = file.made?.stamp === stamp;
  if (!isMade) sending.chunker ??= createChunker();
  const reading =
    file.made !== undefined && isMade ? byList(source, file.made.list) : byCutting(source, sending.chunker ?? createChunker(), sending.disk.hashing);
  if (part !== null && !(await skipPart(part, reading, sending))) return 'other part';
  await putPlain(recordKinds.begin, file, sending);
  if (part !== null) await putBare(recordKinds.keep, sending);
  const torn = !(await sendRest(reading, find, sending)) || source.stamp() !== stamp;
  const { size, bytes } = reading.list;
  if (size > smallFileBytes && (!torn || (isLast && !isMade))) {
    const id = reading.list.id(sending.disk.hashing);
    if (!torn) memory.keep(id, bytes);
    await putEnd(file, { size, id, torn, stamp }, sending);
    return 'sent';
  }
  await putBare(recordKinds.again, sending);
  return size > smallFileBytes ? 'changed' : 'small';
}

/** Not yet known: all of it is read, cut and identified. */
function byCutting({ read }: ContentSource, chunker: Chunker, hashing: Hashing): Reading {
  const list = new ChunkListBuilder();
  const cut = createChunkReader(read, chunker);
  return {
    list,
    next: () => {
      const chunk = cut();
      if (chunk === null) return null;
      const digest = hashing.raw(chunk);
      list.add(chunk.length, digest);
      return { length: chunk.length, digest, bytes: () => chunk };
    },
  };
}

/** Known: what does not travel is not even read. The receiver finds out if it is something else after all. */
function byList({ read, skip }: ContentSource, known: ChunkList): Reading {
  const list = new ChunkListBuilder();
  const buffer = new Uint8Array(mostBytes);
  let [nth, unread] = [0, 0];
  const take = (length: number) => {
    skip(unread - length);
    unread = 0;
    const bytes = buffer.subarray(0, length);
    for (let at = 0; at < length; ) {
      const came = read(bytes.subarray(at));
      if (came === 0) return null;
      at += came;
    }
    return bytes;
  };
  return {
    list,
    next: () => {
      if (nth === known.count) return null;
      const [length, digest] = [known.length(nth), known.digest(nth)];
      nth += 1;
      unread += length;
      list.add(length, digest);
      return { length, digest, bytes: () => take(length) };
    },
  };
}

/** True: the receiver's part is the beginning of this file, and has been read. */
async function skipPart<File>(part: NonNullable<FileToSend['part']>, { next, list }: Reading, { disk, onBytes }: Sending<File>): Promise<boolean> {
  for (let unseen = 0; list.size < part.size; ) {
    const chunk = next();
    if (chunk === null) return false;
    unseen += chunk.length;
    if (unseen < pauseBytes) continue;
    unseen = 0;
    await disk.pause();
  }
  if (list.size !== part.size || list.id(disk.hashing) !== part.id) return false;
  onBytes(0, part.size);
  return true;
}

/** False: the file became shorter meanwhile. */
async function sendRest<File>({ next }: Reading, find: FindChunk, sending: Sending<File>): Promise<boolean> {
  const { disk, out, onBytes } = sending;
  let [first, count, unseen] = [0, 0, 0];
  const putCopy = async () => {
    if (count === 0) return;
    await makeRoom(sending, mostHeadBytes);
    out.used = writeCopy(out.block, out.used, first, count);
    count = 0;
  };
  for (let chunk = next(); chunk !== null; chunk = next()) {
    const found = find(chunk.length, chunk.digest);
    if (found === null) {
      await putCopy();
      await makeRoom(sending, mostHeadBytes + chunk.length);
      const bytes = chunk.bytes();
      if (bytes === null) return false;
      out.used = writePlain(out.block, out.used, recordKinds.chunk, chunk.length);
      out.block.set(bytes, out.used);
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
  return true;
}
