/** One short command on the machine, to its end. */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GpuRunError } from '../core/errors.ts';
import type { ExitStatus, Transport } from '../transport/transport.ts';

export interface Ran extends ExitStatus {
  readonly stdout: string;
  readonly stderr: string;
}

/** No command of ours says nearly as much. */
const mostBytes = 1024 * 1024;

/**
 * `input`: what it gets on stdin; null: nothing.
 * @throws GpuRunError `protocol` when it prints more than 1 MiB on one stream, and what the transport says when no exit status came
 */
export async function runRemote(transport: Transport, argv: readonly string[], input: Readable | null, signal: AbortSignal): Promise<Ran> {
  const remote = transport.exec(argv, { signal });
  const sending = input === null ? void remote.stdin.end() : pipeline(input, remote.stdin);
  // A command that ends early closes its input: its exit status and stderr say why.
  const sent = Promise.resolve(sending).catch(() => {});
  remote.exit.catch(() => {}); // not asked for after a flood
  try {
    const [stdout, stderr] = await Promise.all([collect(remote.stdout), collect(remote.stderr)]);
    const status = await remote.exit;
    await sent;
    return { ...status, stdout, stderr };
  } catch (error) {
    remote.kill();
    throw error;
  }
}

/** What came until the stream ended or broke (the exit says why). */
async function collect(stream: Readable): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > mostBytes) break;
      chunks.push(chunk);
    }
  } catch {}
  if (bytes > mostBytes) throw flooded();
  return Buffer.concat(chunks).toString();
}

function flooded(): GpuRunError {
  return new GpuRunError('protocol', 'The machine prints without end where a short answer was expected (more than 1 MiB).', {
    hints: ['A shell start-up file on the machine that prints without end or starts another program can be the reason.'],
  });
}
