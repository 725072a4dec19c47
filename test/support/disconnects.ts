/** Random disconnects of every kind while a job writes: what arrives here must be what the job wrote. For vitest files only. */
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import type { JobRecord } from '../../src/protocol/job.ts';
import type { RunnerClient } from '../../src/runner/client.ts';
import { followJob } from '../../src/runner/follow.ts';
import { type RandomWriter, randomWriter } from './random-writer.ts';
import { createMachine, kill, specOf, type TestMachine, until } from './runner.ts';
import { sha256 } from './sha256.ts';

export type Disconnect = 'client' | 'connection' | 'agent' | 'serving process';
export const disconnectKinds: readonly Disconnect[] = ['client', 'connection', 'agent', 'serving process'];

export interface Outcome {
  readonly seed: number;
  readonly bytes: number;
  readonly disconnects: Readonly<Record<Disconnect, number>>;
  /** Empty when all is right. */
  readonly wrong: readonly string[];
}

/** One job on a machine of its own, followed through `count` disconnects of all kinds. */
export async function surviveDisconnects(script: string, seed: number, count: number): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-disconnects-'));
  mkdirSync(join(folder, 'job'));
  const code = seed % 200;
  const writer = randomWriter(join(folder, 'job'), seed, code);
  await using machine = createMachine(script);
  const spec = specOf(writer.argv);
  await (await machine.connect()).call('submit', { spec });
  const follower = createFollower(machine, spec.id, join(folder, 'copy'));
  const disconnects = { client: 0, connection: 0, agent: 0, 'serving process': 0 };
  try {
    for (let done = 0; done < count; done++) {
      await follower.hears();
      await systemClock.sleep(Math.random() * 120);
      const kind = disconnectKinds[Math.floor(Math.random() * disconnectKinds.length)] ?? 'client';
      await disconnect(kind, machine, follower);
      disconnects[kind] += 1;
    }
    writer.finish();
    await follower.ended;
    return { seed, bytes: follower.bytes(), disconnects, wrong: check(follower, writer, code) };
  } finally {
    await follower.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function disconnect(kind: Disconnect, machine: TestMachine, follower: Follower): Promise<void> {
  if (kind === 'client') return await follower.dieAndStartAnew();
  if (kind === 'connection') return await follower.cut();
  for (const pid of machine.pids(kind === 'agent' ? 'connect' : 'serve')) kill(pid);
}

interface Follower {
  /** Resolves when more of the log has come. */
  hears(): Promise<void>;
  /** Nothing but what is on the disk goes over to the next one. */
  dieAndStartAnew(): Promise<void>;
  cut(): Promise<void>;
  readonly ended: Promise<void>;
  stop(): Promise<void>;
  bytes(): number;
  log(): Buffer;
  records(): readonly JobRecord[];
  links(): readonly string[];
}

/** Writes what comes to a file, at its offset, as the copy of `logs` is written. */
function createFollower(machine: TestMachine, jobId: string, file: string): Follower {
  const fd = openSync(file, 'w+');
  const { promise: ended, resolve: onEnded, reject: onFailure } = Promise.withResolvers<void>();
  ended.catch(() => {});
  let at = 0;
  const records: JobRecord[] = [];
  let links: string[] = [];
  let life = new AbortController();
  let current: RunnerClient | null = null;
  const start = async () => {
    const mine = life;
    links = [];
    const parts = followJob({
      connect: async () => {
        current = await machine.connect();
        return current;
      },
      release: async () => void (await current?.close()),
      jobId,
      logOffset: at,
      record: records.length,
      follow: true,
      // As the system's, but pauses are a tenth as long.
      clock: { now: () => Date.now(), sleep: (ms, signal) => systemClock.sleep(ms / 10, signal) },
      signal: mine.signal,
      onLink: (state) => links.push(state),
    });
    for await (const part of parts) {
      if (mine.signal.aborted) return;
      if (part.type === 'log') {
        writeSync(fd, part.bytes, 0, part.bytes.length, part.offset);
        at = part.offset + part.bytes.length;
      } else if (part.type === 'record') records.push(part.record);
    }
    onEnded();
  };
  const run = () => {
    const mine = life;
    start().catch((error: unknown) => mine.signal.aborted || onFailure(error));
  };
  const die = async () => {
    life.abort();
    await current?.close();
  };
  run();
  return {
    ended,
    hears: async () => {
      const before = at;
      await Promise.race([until(() => at > before, 'more of the log', 60_000, 2), ended]);
    },
    dieAndStartAnew: async () => {
      await die();
      life = new AbortController();
      run();
    },
    cut: async () => void (await current?.close()),
    stop: async () => {
      await die();
      closeSync(fd);
    },
    bytes: () => at,
    log: () => readFileSync(file),
    records: () => records,
    links: () => links,
  };
}

function check(follower: Follower, writer: RandomWriter, code: number): string[] {
  const wrote = writer.wrote();
  const log = follower.log();
  const records = follower.records();
  const end = records.at(-1);
  const sum = sha256(log);
  const links = follower.links();
  return [
    ...(sum === wrote?.sha256 ? [] : [`the log: ${log.length} bytes came, ${wrote?.bytes} were written`]),
    ...(records.every(({ n }, index) => n === index + 1) ? [] : [`the records: ${records.map(({ n }) => n).join()}`]),
    ...(end?.type === 'state' && end.state === 'ended' && end.end.code === code ? [] : [`the end: ${JSON.stringify(end)} instead of ${code}`]),
    ...(links.every((state, index) => state === (index % 2 === 0 ? 'reconnecting' : 'connected')) ? [] : [`the link: ${links.join()}`]),
  ];
}
