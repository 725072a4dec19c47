/** `ssh`: a shell or one command on the machine, through the same transport as everything else. */

import { type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { systemErrorCode } from '../core/errors.ts';
import type { ExitStatus, LocalTerminal } from '../transport/transport.ts';
import type { RunContext } from './context.ts';
import { findMachine } from './find.ts';
import { connectMachine } from './reach-machine.ts';

export interface ShellInput {
  readonly name: string;
  /** null: a login shell. */
  readonly argv: readonly string[] | null;
  /** The user's terminal; null when there is none: then the command's streams are piped as they are. */
  readonly terminal: LocalTerminal | null;
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** May be the same as `stdout`. What it refuses is dropped; the caller listens to its errors. */
  readonly stderr: Writable;
}

export async function shell(input: ShellInput, context: RunContext): Promise<ExitStatus> {
  const transport = await connectMachine(findMachine(input.name, context), context);
  try {
    if (input.terminal !== null) return await transport.terminal(input.argv, input.terminal);
    const remote = transport.exec(input.argv ?? ['sh', '-l'], { signal: context.signal });
    // The command may end without reading all of its input: that is no failure.
    pipeline(input.stdin, remote.stdin).catch(() => {});
    const messages = droppingWhatIsRefused(input.stderr);
    const stdout = input.stdout === input.stderr ? messages : input.stdout;
    const shown = await Promise.all([show(remote.stdout, stdout), show(remote.stderr, messages)]);
    if (shown.every(Boolean)) return await remote.exit;
    remote.kill();
    return { code: 0, signal: null };
  } finally {
    await transport.close();
  }
}

/** False when nobody reads any more, as behind `| head`: there is nothing left to do then. */
async function show(from: Readable, to: Writable): Promise<boolean> {
  try {
    await pipeline(from, to, { end: false });
    return true;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EPIPE' || (code === 'ERR_STREAM_PREMATURE_CLOSE' && to.destroyed)) return false;
    throw error;
  }
}

/** stderr on a full disk costs what would stand there, and not the command's work: the caller's screen tells of it. A reader who left is told as such. */
function droppingWhatIsRefused(to: Writable): Writable {
  return new Writable({
    highWaterMark: 0,
    write: (chunk, _encoding, done) => void to.write(chunk, (error) => done(systemErrorCode(error) === 'EPIPE' ? error : null)),
  });
}
