/** One short command on the machine, to its end. */
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { ExitStatus, Transport } from '../transport/transport.ts';

export interface Ran extends ExitStatus {
  readonly stdout: string;
  readonly stderr: string;
}

/** `input`: what it gets on stdin; null: nothing. @throws GpuRunError what the transport says when no exit status came */
export async function runRemote(transport: Transport, argv: readonly string[], input: Readable | null, signal: AbortSignal): Promise<Ran> {
  const remote = transport.exec(argv, { signal });
  const sending = input === null ? void remote.stdin.end() : pipeline(input, remote.stdin);
  // A command that ends early closes its input: its exit status and stderr say why.
  const sent = Promise.resolve(sending).catch(() => {});
  const [stdout, stderr] = await Promise.all([text(remote.stdout).catch(() => ''), text(remote.stderr).catch(() => '')]);
  const status = await remote.exit;
  await sent;
  return { ...status, stdout, stderr };
}
