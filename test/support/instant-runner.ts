/** A machine behind a transport without network, process or disk: the runner there answers at once what a test lets it answer. */
import { createHash } from 'node:crypto';
import { PassThrough } from 'node:stream';
import type { Call } from '../../src/protocol/call-state.ts';
import { crc32 } from '../../src/protocol/crc32.ts';
import { magicLine } from '../../src/protocol/magic.ts';
import { Peer } from '../../src/protocol/peer.ts';
import type { ExitStatus, RemoteProcess, Transport } from '../../src/transport/transport.ts';

export interface InstantRunner {
  /** The content of the runner's file here: it is there already. */
  readonly content: string;
  /** Rejects as `Transport.connect` does. */
  readonly connect: () => Promise<void>;
  /** The result of a call by its name, after what it sends by `call`. */
  readonly answer: (op: string, params: unknown, call: Call) => unknown;
}

export function instantTransport({ content, connect, answer }: InstantRunner): Transport {
  const hash = createHash('sha256').update(content).digest('hex');
  const refuse = () => {
    throw new Error('not here');
  };
  return {
    connect,
    exec: (argv) => (argv[0] === 'sh' ? probed(hash) : serving(answer)),
    terminal: refuse,
    copyTo: refuse,
    copyFrom: refuse,
    forward: refuse,
    close: async () => {},
  };
}

function probed(hash: string): RemoteProcess {
  const process = newProcess();
  for (const line of ['home /home/me', 'os Linux', 'arch x86_64', `hash ${hash}`, 'node v24.1.0 /usr/bin/node', 'works /usr/bin/node', 'end yes'])
    process.stdout.write(`gpu-run ${line}\n`);
  process.end();
  return process;
}

function serving(answer: InstantRunner['answer']): RemoteProcess {
  const process = newProcess();
  process.stdout.write(magicLine({ version: 'test-1', isWatched: true }));
  const peer = new Peer(
    async (...parts) => void process.stdout.write(Buffer.concat(parts)),
    async (call) => answer(call.op, call.params, call),
    crc32,
  );
  process.stdin.on('data', (bytes: Uint8Array) => void peer.feed(bytes));
  process.stdin.on('end', process.end);
  return process;
}

function newProcess(): RemoteProcess & { readonly stdout: PassThrough; readonly stdin: PassThrough; readonly end: () => void } {
  const { promise: exit, resolve } = Promise.withResolvers<ExitStatus>();
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const end = () => {
    stdout.end();
    stderr.end();
    resolve({ code: 0, signal: null });
  };
  stdout.on('error', () => {});
  return { stdin, stdout, stderr, exit, kill: end, end };
}
