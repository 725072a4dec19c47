/** Receives the content of a file into a hidden name, where it is verified before it may be renamed. May import protocol and `node:`. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fchmodSync, ftruncateSync, futimesSync, openSync, rmSync } from 'node:fs';
import { FrameError } from '../src/protocol/frame.ts';
import type { Part } from '../src/protocol/peer.ts';
import type { FileEntry } from '../src/protocol/sync.ts';
import { type Content, receiveContent } from '../src/protocol/sync-content.ts';
import { writeAll } from './write-all.ts';

/** null: the laptop gave the file up. When it fails or gives up it leaves nothing behind. */
export async function receiveFile(parts: AsyncIterator<Part>, index: number, entry: FileEntry, temporary: string): Promise<Content | null> {
  rmSync(temporary, { force: true }); // of a push that was killed
  const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  let complete = false;
  try {
    const content = await receiveContent(parts, index, fileSink(fd));
    if (content === 'same') throw new FrameError("a push can't leave a file to us that it was asked for");
    if (content === 'gone') return null;
    fchmodSync(fd, entry.mode);
    futimesSync(fd, new Date(), entry.mtime / 1e6);
    complete = true;
    return content;
  } finally {
    closeSync(fd);
    if (!complete) rmSync(temporary, { force: true });
  }
}

function fileSink(fd: number) {
  let hash = createHash('sha256');
  let size = 0;
  return {
    write: (bytes: Uint8Array) => {
      writeAll(fd, bytes, size);
      hash.update(bytes);
      size += bytes.length;
    },
    restart: () => {
      ftruncateSync(fd);
      hash = createHash('sha256');
      size = 0;
    },
    sha256: () => hash.digest('hex'),
  };
}
