/** Gives the space of a part of a file back to the disk while others write to its end: offsets stay, the part reads as zeros. */
import { execFile } from 'node:child_process';
import { closeSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isDiskFull } from './ballast.ts';

/** @throws when the system refuses */
export type PunchHole = (file: string, from: number, to: number) => Promise<void>;

const run = promisify(execFile);
const withinMs = 60_000;

const byFallocate: PunchHole = async (file, from, to) => {
  await run('fallocate', ['--punch-hole', '--offset', String(from), '--length', String(to - from), file], { timeout: withinMs });
};

/** FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, as in fallocate(2). For machines without util-linux 2.25: BusyBox's `fallocate` makes no holes. */
const pythonText = `
import ctypes, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
call = getattr(libc, "fallocate64", libc.fallocate)
call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
sys.exit(0 if call(fd, 3, int(sys.argv[2]), int(sys.argv[3])) == 0 else ctypes.get_errno() or 1)
`;

const byPython: PunchHole = async (file, from, to) => {
  await run('python3', ['-c', pythonText, file, String(from), String(to - from)], { timeout: withinMs });
};

const blockBytes = 4096;

/**
 * A way that works on this folder's file system; null: there is none. It is tried on a file of its own: a log is too good for that.
 * @throws when the disk is too full to try
 */
export async function findPunchHole(folder: string, ways: readonly PunchHole[] = [byFallocate, byPython]): Promise<PunchHole | null> {
  const file = join(folder, `.punch.${process.pid}`);
  for (const way of ways) {
    try {
      writeFileSync(file, Buffer.alloc(2 * blockBytes, 1), { mode: 0o600 });
      await way(file, 0, blockBytes);
      if (readsAs(file, 0, 0) && readsAs(file, blockBytes, 1)) return way;
    } catch (error) {
      if (isDiskFull(error)) throw error;
      // the next one
    } finally {
      rmSync(file, { force: true });
    }
  }
  return null;
}

function readsAs(file: string, offset: number, value: number): boolean {
  const block = Buffer.alloc(blockBytes);
  const fd = openSync(file, 'r');
  try {
    return readSync(fd, block, 0, blockBytes, offset) === blockBytes && block.every((byte) => byte === value);
  } finally {
    closeSync(fd);
  }
}
