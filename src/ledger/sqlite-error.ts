/** What SQLite and the file system say when the ledger can't be used, as errors that say what to do. */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';

// Primary result codes, https://sqlite.org/rescode.html
const busy = 5;
const readOnly = 8;
const ioError = 10;
const corrupt = 11;
const full = 13;
const cantOpen = 14;
const notADatabase = 26;

/** Errors that are not about the file are returned as they are. */
export function explainLedgerError(error: unknown, file: string): unknown {
  if (error instanceof GpuRunError) return error;
  if (error instanceof SyntaxError) return damagedLedger(file, 'an entry is not readable', error);
  switch (systemErrorCode(error)) {
    case 'ERR_SQLITE_ERROR':
      return explainSqlite(error as Error & { readonly errcode: number }, file);
    case 'ENOSPC':
    case 'EDQUOT':
      return diskFull(file, error);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return notAllowed(file, error);
    case 'EEXIST':
    case 'ENOTDIR':
    case 'ENOTSUP':
      return unusableFolder(file, error);
    default:
      return error;
  }
}

function explainSqlite(error: Error & { readonly errcode: number }, file: string): unknown {
  switch (error.errcode & 0xff) {
    case busy:
      return new GpuRunError('conflict', `Another gpu-run keeps the ledger ${file} busy.`, { retry: 'same', cause: error, hints: ['Try again in a moment.'] });
    case readOnly:
    case cantOpen:
      return notAllowed(file, error);
    case full:
      return diskFull(file, error);
    case ioError: // a full tmpfs says this too: the shared memory beside the WAL can't grow
      return hasRoom(file) ? unusableFolder(file, error) : diskFull(file, error);
    case corrupt:
    case notADatabase:
      return damagedLedger(file, error.message, error);
    default:
      return error.message.includes('malformed JSON') ? damagedLedger(file, error.message, error) : error;
  }
}

function hasRoom(file: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(file));
    return bavail * bsize >= 1024 * 1024;
  } catch {
    return true;
  }
}

/** Never repaired or made anew by itself: it may be the only place that knows of a machine which is billing. */
export function damagedLedger(file: string, how: string, cause?: unknown): GpuRunError {
  return new GpuRunError('bad-input', `The ledger ${file} is damaged, or not a ledger of gpu-run: ${how}. It was left as it is.`, {
    cause,
    hints: [
      `Restore it from a backup, or move it away together with its -wal file: mv '${file}' '${file}.damaged'`,
      'Then run gpu-run reap: it finds your machines that still run by their labels, without the ledger.',
      `What it held can often be read by: sqlite3 '${file}.damaged' .recover`,
    ],
  });
}

export function newerLedger(file: string, format: number, known: number): GpuRunError {
  return new GpuRunError('bad-input', `The ledger ${file} was written by a newer gpu-run (format ${format}; this one knows formats up to ${known}).`, {
    hints: ['Update gpu-run: npm install --global gpu-run@latest', 'Or keep apart what this version does: set GPU_RUN_HOME to another folder.'],
  });
}

function notAllowed(file: string, cause: unknown): GpuRunError {
  return new GpuRunError('not-allowed', `The ledger ${file} can't be opened for reading and writing.`, {
    cause,
    hints: [`It has to be a file of yours in a folder of yours: ls -la '${file}'`, 'Or set GPU_RUN_HOME to a folder that you may write to.'],
  });
}

function diskFull(file: string, cause: unknown): GpuRunError {
  return new GpuRunError('disk-full', `There is no space left for the ledger ${file}. Nothing was written.`, {
    cause,
    hints: ['Make room, then try again. Machines that are up end at their deadlines meanwhile.'],
  });
}

function unusableFolder(file: string, cause: unknown): GpuRunError {
  return new GpuRunError('bad-input', `The ledger can't be kept at ${file}: ${cause instanceof Error ? cause.message : String(cause)}.`, {
    cause,
    hints: ['Set GPU_RUN_HOME to a folder on a local disk: network file systems lack what several processes at once need.'],
  });
}
