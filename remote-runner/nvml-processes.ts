/**
 * NVML's list of the processes on a GPU. The size of an entry depends on the driver and not on the function's version alone: the third
 * version was out with entries of 24 and of 32 bytes (XuehaiPan/nvitop#79 and #89), and some libraries give those of the first, of
 * 16 (nvitop#226). So the list is asked for in a buffer that is marked, and how much of it was written tells the size.
 */

export interface ProcessInfo {
  readonly pid: number;
  /** Bytes; all bits set: not available. */
  readonly used: bigint;
}

/** What the buffer holds before the call. No entry ends with it: its last field is an amount of memory, or the number of an instance. */
export const unwritten = 0xa5;
const entrySizes = [16, 24, 32] as const;
/** The largest of them. */
export const mostEntryBytes = 32;

/** Every entry begins with the process's id, and after four bytes of padding the memory that it uses. */
export function parseProcessInfos(written: Buffer, count: number): ProcessInfo[] {
  let end = written.length;
  while (end > 0 && written[end - 1] === unwritten) end -= 1;
  const size = entrySizes.find((bytes) => end <= bytes * count);
  if (size === undefined || written.length < size * count) return [];
  return Array.from({ length: count }, (_, index) => ({ pid: written.readUInt32LE(index * size), used: written.readBigUInt64LE(index * size + 8) }));
}
