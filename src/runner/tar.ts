/** Just enough of tar to take one file out of an npm package. */
import { Readable } from 'node:stream';

const blockSize = 512;

/** The content of the file of that name. Holds one file in memory. @throws Error when there is none, or the archive is damaged */
export async function extractFile(archive: Readable, name: string): Promise<Readable> {
  const reader = readerOf(archive);
  for (;;) {
    const header = await reader(blockSize);
    if (header.length < blockSize || header.every((byte) => byte === 0)) throw new Error(`there is no ${name} in the archive`);
    const size = Number.parseInt(text(header, 124, 12), 8);
    if (!Number.isSafeInteger(size) || size < 0) throw new Error('the archive is damaged');
    const prefix = text(header, 345, 155);
    const found = (prefix === '' ? '' : `${prefix}/`) + text(header, 0, 100) === name;
    const content = await reader(size);
    if (content.length < size) throw new Error('the archive ends in the middle of a file');
    if (found) return Readable.from([content]);
    await reader((blockSize - (size % blockSize)) % blockSize);
  }
}

function text(header: Buffer, offset: number, length: number): string {
  const field = header.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end).trim();
}

/** Exactly so many bytes; fewer at the end. */
function readerOf(archive: Readable): (length: number) => Promise<Buffer> {
  const chunks = (archive as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  return async (length) => {
    const pieces = [rest];
    let have = rest.length;
    while (have < length) {
      const next = await chunks.next();
      if (next.done === true) break;
      pieces.push(next.value);
      have += next.value.length;
    }
    const all = Buffer.concat(pieces);
    rest = all.subarray(length);
    return all.subarray(0, length);
  };
}
