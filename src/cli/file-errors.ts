/** What the system says of files that can't be used, in words. */
import { type ErrorCode, GpuRunError, systemErrorCode } from '../core/errors.ts';

export const fileErrors: Readonly<Record<string, { readonly code: ErrorCode; readonly why: string }>> = {
  EACCES: { code: 'not-allowed', why: 'permission is denied' },
  EPERM: { code: 'not-allowed', why: 'that is not permitted' },
  EROFS: { code: 'not-allowed', why: 'the file system is read-only' },
  ENOENT: { code: 'sync', why: 'it does not exist' },
  EEXIST: { code: 'sync', why: 'there is something else in its place' },
  ENOTDIR: { code: 'sync', why: 'a part of the path is a file, not a folder' },
  EISDIR: { code: 'sync', why: 'it is a folder, not a file' },
  EMFILE: { code: 'sync', why: 'too many files are open' },
  ENOSPC: { code: 'disk-full', why: 'the disk is full' },
  EDQUOT: { code: 'disk-full', why: 'the disk quota is used up' },
};

/** What was to be printed could not be written: stdout goes to a full disk. */
export function outputLost(cause: Error): GpuRunError {
  const message = `The output is cut short: ${unwritable('stdout', cause)}`;
  return new GpuRunError(kindOf(cause), message, { hints: ['Make room, or send the output elsewhere, and call again.'], cause });
}

/** Progress, warnings and perhaps a job's stderr could not be written: stderr goes to a full disk. What was asked for is done. */
export function messagesLost(cause: Error): GpuRunError {
  return new GpuRunError(kindOf(cause), `Messages are lost: ${unwritable('stderr', cause)}`, { cause });
}

function kindOf(cause: Error): ErrorCode {
  return fileErrors[systemErrorCode(cause) ?? '']?.code ?? 'sync';
}

function unwritable(stream: string, cause: Error): string {
  const code = systemErrorCode(cause) ?? '';
  return `${stream} can't be written any more: ${fileErrors[code]?.why ?? 'writing failed'} (${code}).`;
}
