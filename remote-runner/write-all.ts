/** Bytes into a file, all of them: a disk that is nearly full takes a part of what it is given, and says so only by the count. */
import { writeSync } from 'node:fs';

/** As `writeSync`: how many of the `length` bytes from `offset` on it has taken. */
export type WriteSome = (fd: number, bytes: Uint8Array, offset: number, length: number, position: number | null) => number;

/** From `position` of the file on; null: where the file stands, or at its end where it is open for appending. @throws what the file system says once it takes no more */
export function writeAll(fd: number, bytes: Uint8Array, position: number | null = null, write: WriteSome = writeSync): void {
  for (let done = 0; done < bytes.length; ) done += write(fd, bytes, done, bytes.length - done, position === null ? null : position + done);
}
