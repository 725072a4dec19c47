/**
 * One process a connection: speaks the protocol on stdin and stdout, answers calls from the machine's files, and makes sure that
 * the serving process lives. It ends with its client.
 */
import { writeSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import type { Call } from '../src/protocol/call-state.ts';
import type { Calls } from '../src/protocol/calls.ts';
import { magicLine } from '../src/protocol/magic.ts';
import { beatEveryMs, type CallHandler, Peer, type Write } from '../src/protocol/peer.ts';
import { arm } from './arm.ts';
import { crc32 } from './checksum.ts';
import { follow } from './follow.ts';
import { askForGpus } from './gpu-report.ts';
import { cancel, listJobs, shutDown, submit } from './job-calls.ts';
import { machineFacts } from './machine-facts.ts';
import { type MachineFolder, prepareMachineFolder } from './machine-folder.ts';
import { unpack } from './pack.ts';
import { preflight } from './preflight.ts';
import { watchPresence } from './presence.ts';
import { explainSystemError, RunnerError } from './runner-error.ts';
import { seek } from './seek.ts';
import { createStarter, type Starter } from './start-serve.ts';
import { syncCalls } from './sync-calls.ts';
import { LiveSources } from './sync-live.ts';
import { watchTelemetry } from './telemetry.ts';
import { armedOrder } from './watch-order.ts';

export interface Connection {
  readonly input: Readable;
  readonly output: Writable;
  /** What is behind `output`: written to at once where little is to be written, and nothing waits. */
  readonly outputFd?: number;
  /** The runner's own file, and its version. */
  readonly script: string;
  readonly version: string;
  /** Told when a call is opened where none was open, and when the last one has ended. */
  readonly onWork?: (works: boolean) => void;
}

const ensureEveryMs = 1_000;

/** Resolves when the client is gone. */
export async function connect(machine: MachineFolder, { input, output, outputFd, script, version, onWork = () => {} }: Connection): Promise<void> {
  let prepared = false;
  const serving = createStarter(machine, 'serve', script, version);
  const watching = createStarter(machine, 'watch', script, version);
  const ensure = () => {
    serving.ensure();
    // A watchdog of another version may still hold an order that we can't read: it stays until there is one that we can.
    watching.ensure(() => armedOrder(machine) !== null);
  };
  const live = new LiveSources();
  const answers = answerTable(machine, serving, watching, script, version, live);
  const prepare = () => {
    if (prepared) return;
    prepareMachineFolder(machine);
    prepared = true;
    ensure();
  };
  const answerCall: CallHandler = async (call) => {
    const answer = answers[call.op];
    if (answer === undefined) throw new RunnerError('protocol', `This runner (${version}) knows no call '${call.op}'.`);
    try {
      prepare();
      return await answer(call);
    } catch (error) {
      throw explainSystemError(error);
    }
  };
  const peer = new Peer(writerTo(output, outputFd ?? null), tellingOfWork(answerCall, onWork), crc32, unpack);
  const presence = watchPresence(beatEveryMs);
  const ensuring = setInterval(() => attempt(() => prepared && ensure()), ensureEveryMs);
  try {
    output.write(magicLine({ version, isWatched: armedOrder(machine) !== null }));
    attempt(prepare);
    await Promise.race([feedAll(input, peer, presence.heard), closed(output), presence.gone]);
  } finally {
    presence.end();
    live.close();
    clearInterval(ensuring);
    peer.close(new RunnerError('connection', 'The client is gone.'));
  }
}

/** A full disk, or a folder that can't be written: not here, but to each call it is told. */
function attempt(work: () => unknown): void {
  try {
    work();
  } catch {
    // The next call, or the next second, tries it again.
  }
}

function tellingOfWork(answer: CallHandler, onWork: (works: boolean) => void): CallHandler {
  let open = 0;
  return async (call) => {
    open += 1;
    if (open === 1) onWork(true);
    try {
      return await answer(call);
    } finally {
      open -= 1;
      if (open === 0) onWork(false);
    }
  };
}

type Answer = (call: Call) => Promise<unknown>;

function answerTable(
  machine: MachineFolder,
  serving: Starter,
  watching: Starter,
  script: string,
  version: string,
  live: LiveSources,
): Readonly<Record<string, Answer>> {
  const params = <Op extends keyof Calls>(call: Call) => call.params as Calls[Op]['params'];
  const own: Record<keyof Calls, Answer> = {
    hello: async () => machineFacts(machine, version),
    gpus: async () => {
      const { gpus, problem } = await askForGpus();
      return { gpus, problem };
    },
    preflight: () => preflight(),
    submit: (call) => submit(params<'submit'>(call), machine, serving),
    jobs: async () => listJobs(machine),
    follow: (call) => follow(call, machine),
    telemetry: (call) => watchTelemetry(call, machine, script),
    seek: (call) => seek(params<'seek'>(call), machine),
    cancel: (call) => cancel(params<'cancel'>(call), machine, serving, call.signal),
    arm: (call) => arm(params<'arm'>(call), machine, watching),
    shutdown: (call) => shutDown(params<'shutdown'>(call), machine, serving, watching, call.signal),
  };
  const sync = Object.entries(syncCalls).map(([op, answer]): [string, Answer] => [op, (call) => answer(call, { ...machine, live })]);
  return Object.assign(Object.create(null) as Record<string, Answer>, own, Object.fromEntries(sync));
}

async function feedAll(input: Readable, peer: Peer, onBytes: () => void): Promise<void> {
  for await (const chunk of input) {
    onBytes();
    await peer.feed(chunk as Uint8Array);
  }
}

/** Nobody reads any more. */
function closed(output: Writable): Promise<void> {
  return new Promise((resolve) => {
    output.once('error', () => resolve());
    output.once('close', () => resolve());
  });
}

/** So many bytes fit into any pipe that is not full. */
const littleBytes = 4096;
const written = Promise.resolve();

/** All parts leave in one system call. What is little leaves before it returns: a stream's way would take a line of a log twice as long. */
function writerTo(output: Writable, fd: number | null): Write {
  return (...all) => {
    const [only] = all;
    const isLittle = fd !== null && all.length === 1 && only !== undefined && only.length <= littleBytes && output.writableLength === 0;
    const parts = isLittle ? [only.subarray(writeNow(fd, only))] : all;
    if (isLittle && parts[0]?.length === 0) return written;
    return new Promise((resolve, reject) => {
      const last = parts.length - 1;
      output.cork();
      for (const [index, part] of parts.entries()) output.write(part, index === last ? (error) => (error ? reject(error) : resolve()) : undefined);
      output.uncork();
    });
  };
}

/** How many bytes were written: none where nobody reads now, or any more. */
function writeNow(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes);
  } catch {
    return 0; // the stream's way waits, or tells what is wrong
  }
}
