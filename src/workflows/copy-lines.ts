/** Files of lines that several processes append to, as those of a job's copy are. */
import { constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';

/** For `appendLines`. */
export function openLines(file: string): number {
  return openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o600);
}

/** Whole lines, or it throws: a full disk takes half of what it is given and says so only by the count. What was left of a line, then or by a crash, is ended first. */
export function appendLines(fd: number, lines: string): void {
  writeWhole(fd, Buffer.from(endsInLine(fd) ? lines : `\n${lines}`));
}

/** At `offset`; null: at the end of a file that is open for appending. @throws what the file system says once it takes no more */
export function writeWhole(fd: number, bytes: Uint8Array, offset: number | null = null): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, offset === null ? null : offset + done);
}

function endsInLine(fd: number): boolean {
  const { size } = fstatSync(fd);
  const end = new Uint8Array(1);
  return size === 0 || readSync(fd, end, 0, 1, size - 1) === 0 || end[0] === 0x0a;
}
