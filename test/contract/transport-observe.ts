/** Looking at what transports do, from both ends: the machine of a test is this computer. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import type { GpuRunError } from '../../src/core/errors.ts';
import { identifyProcess } from '../../src/core/process-identity.ts';
import type { ExitStatus, RemoteProcess } from '../../src/transport/transport.ts';

export async function run(command: RemoteProcess, input: Uint8Array = new Uint8Array(0)): Promise<{ stdout: Buffer; stderr: Buffer; status: ExitStatus }> {
  command.stdin.on('error', () => {});
  command.stdin.end(input);
  const [stdout, stderr, status] = await Promise.all([collect(command.stdout), collect(command.stderr), command.exit]);
  return { stdout, stderr, status };
}

export async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export async function firstLine(command: RemoteProcess): Promise<string> {
  command.stderr.resume();
  let text = '';
  while (!text.includes('\n')) text += String((await once(command.stdout, 'data'))[0]);
  return text.slice(0, text.indexOf('\n'));
}

/** The exit code, or the error's code. */
export async function settled(exit: Promise<ExitStatus>): Promise<number | string> {
  return await exit.then(
    ({ code }) => code,
    (error: GpuRunError) => error.code,
  );
}

/** The machine is this computer: its processes can be looked at. */
export async function gone(pid: number): Promise<void> {
  expect(pid).toBeGreaterThan(1);
  while (identifyProcess(pid) !== null) await pause(10);
}

export function processesNaming(text: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(commandLine).filter((line) => line.includes(text));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

export function hiddenFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.gpu-run-'));
}

export async function startEcho(): Promise<{ port: number; close(): Promise<void> }> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket: Socket) => void pipeline(socket, socket).catch(() => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as { port: number }).port, close: () => new Promise((done) => server.close(() => done())) };
}

export async function exchange(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.end(bytes);
  return await collect(socket);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
