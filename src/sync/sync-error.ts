/** What went wrong during push or pull, in the terms of the person who ran it. May import core and protocol. */
import { type ErrorCode, GpuRunError, systemErrorCode } from '../core/errors.ts';
import { PeerClosedError, RemoteError } from '../protocol/call-state.ts';
import { FrameError } from '../protocol/frame.ts';

const remoteCodes: Readonly<Record<string, { readonly code: ErrorCode; readonly hints: readonly string[] }>> = {
  sync: { code: 'sync', hints: ['Make the path accessible on the machine (gpu-run ssh NAME), then try again.'] },
  'disk-full': {
    code: 'disk-full',
    hints: ['Free space on the machine (gpu-run ssh NAME), or take one with a bigger disk.', 'Leave out what the job does not need: .gpurunignore.'],
  },
  conflict: { code: 'conflict', hints: ['Wait for the other gpu-run, or stop it with Ctrl-C.'] },
  'bad-input': { code: 'bad-input', hints: ['Check `sync` in gpu-run.yaml.'] },
  protocol: { code: 'protocol', hints: ['Try again; if it stays, take the machine down and up again.'] },
};

export function toSyncError(error: unknown, signal: AbortSignal): unknown {
  if (error instanceof GpuRunError) return error;
  if (signal.aborted) return new GpuRunError('interrupted', 'Interrupted while syncing; the next sync goes on from there.', { cause: error });
  if (error instanceof RemoteError) {
    const known = remoteCodes[error.code];
    return known === undefined ? error : new GpuRunError(known.code, sentence(error.message), { hints: known.hints, cause: error });
  }
  if (error instanceof PeerClosedError)
    return new GpuRunError('connection', `The connection ended while syncing: ${error.message}`, {
      hints: ['Run the command again: it goes on from there.'],
      retry: 'same',
      cause: error,
    });
  if (error instanceof FrameError)
    return new GpuRunError('protocol', `The machine did not answer as agreed: ${error.message}`, { hints: remoteCodes['protocol']?.hints ?? [], cause: error });
  return fromDisk(error);
}

/** Errors of this computer's own files. */
function fromDisk(error: unknown): unknown {
  const code = systemErrorCode(error);
  if (code === undefined || !(error instanceof Error) || !('syscall' in error)) return error;
  const path = 'path' in error && typeof error.path === 'string' ? error.path : 'a file';
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new GpuRunError('disk-full', `The disk (or quota) here became full while writing ${path}.`, {
      hints: ['Free space, then run the command again.'],
      cause: error,
    });
  return new GpuRunError('sync', `${path} can't be worked on: ${error.message}`, { hints: ['Make it accessible, then run the command again.'], cause: error });
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}
