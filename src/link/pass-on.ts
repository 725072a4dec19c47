/** A link's side of commands and streams: what goes through the connection that it keeps. May import core, protocol and the transport interface. */
import type { Duplex, Writable } from 'node:stream';
import type { Call } from '../protocol/peer.ts';
import type { StartedCommand } from '../transport/connector.ts';
import type { ExitStatus } from '../transport/transport.ts';
import { sendBytes, stderrOffset, stdoutOffset } from './messages.ts';
import { pump } from './pump.ts';

/** Until the command has ended; a caller who is gone ends it. @throws as `start`, and as the command's `exit` */
export async function passCommand(call: Call, start: (signal: AbortSignal) => Promise<StartedCommand>): Promise<ExitStatus> {
  const command = await start(call.signal);
  const kill = () => command.kill('SIGTERM');
  call.signal.addEventListener('abort', kill, { once: true });
  if (call.signal.aborted) kill();
  command.stdin.on('error', () => {}); // its exit status says why
  const outputs = [
    pump(command.stdout, (bytes) => sendBytes(call, stdoutOffset, bytes)),
    pump(command.stderr, (bytes) => sendBytes(call, stderrOffset, bytes)),
  ];
  try {
    await call.event({ started: true });
    void passInput(call, command.stdin, (signal) => command.kill(signal));
    const status = await command.exit;
    await Promise.all(outputs);
    return status;
  } finally {
    call.signal.removeEventListener('abort', kill);
  }
}

/** Never rejects. What a command does not read is dropped. */
async function passInput(call: Call, stdin: Writable, kill: (signal: NodeJS.Signals) => void): Promise<void> {
  try {
    for await (const part of call.parts()) {
      if (part.kind === 'event') kill((part.value as { kill: NodeJS.Signals }).kill);
      else if (!stdin.destroyed && !stdin.writableEnded) await new Promise<void>((written) => stdin.write(part.block.bytes, () => written()));
    }
  } catch {
    return; // the caller is gone, and the command ends
  }
  stdin.end();
}

/** Until both halves are closed; a caller who is gone ends it. */
export async function passStream(call: Call, dial: () => Promise<Duplex>): Promise<void> {
  const stream = await dial();
  const drop = () => stream.destroy();
  call.signal.addEventListener('abort', drop, { once: true });
  if (call.signal.aborted) drop();
  stream.on('error', drop);
  const closed = new Promise<void>((resolve) => stream.once('close', resolve));
  await call.event({ started: true });
  const output = pump(stream, (bytes) => sendBytes(call, stdoutOffset, bytes)).then(() => call.event({ ended: true }));
  await Promise.all([output.catch(drop), passInput(call, stream, drop), stream.destroyed ? undefined : Promise.race([closed, output])]);
  drop();
}
