/**
 * Following a job's log beside `ssh host tail -F` on the same file, through the same OpenSSH server. The contenders take turns, on one
 * job for the latency and one for the throughput, so that each reads the very same bytes.
 */
import { median } from './measure.ts';
import { printLog } from './print-log.ts';
import { printRows } from './print-table.ts';
import { type Follower, follow, type SshMachine, startSshMachine } from './ssh-machine.ts';

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 5);
const gigabyte = Number(process.env['BENCH_BYTES'] ?? 1e9);
/** Until everybody is connected; then their first lines; then lines that nobody counts, while both our ends are still compiling their code. */
const connectMs = 2_500;
const firstMs = 2_500;
const warmMs = 7_500;
const listenMs = 5_000;

/** Prints the time of a clock that all processes of a computer share, 200 lines a second. */
const printTimes = "const fs = require('fs'); setInterval(() => fs.writeSync(1, `${process.hrtime.bigint()} epoch=1 loss=0.123456 acc=0.9876\\n`), 5)";

const slowMegabits = 100;
/** Of the log that is fetched over a slow network: it takes tail long enough. */
const slowBytes = gigabyte / 10;

export async function benchFollow(): Promise<void> {
  {
    await using machine = await startSshMachine();
    await latency(machine);
    await throughput(machine, gigabyte, 'on this computer');
  }
  await using machine = await startSshMachine(slowMegabits);
  await throughput(machine, slowBytes, `over a network of ${slowMegabits} Mbit/s`);
}

async function latency(machine: SshMachine): Promise<void> {
  const job = machine.start(process.execPath, '-e', printTimes);
  const followers = followersOf(machine, job);
  const taken = followers.map(() => ({ first: [] as number[], p50: [] as number[], p99: [] as number[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, follower] of followers.entries()) {
      const { first, warm } = await listen(follower);
      taken[index]?.first.push(percentile(first, 0.5));
      taken[index]?.p50.push(percentile(warm, 0.5));
      taken[index]?.p99.push(percentile(warm, 0.99));
    }
  }
  machine.cancel(job);
  const base = median(taken[0]?.p50 ?? []);
  const rows = followers.map(({ name }, index) => {
    const { first = [], p50 = [], p99 = [] } = taken[index] ?? {};
    return [name, ms(median(first)), ms(Math.min(...p50)), ms(median(p50)), ms(Math.min(...p99)), ms(median(p99)), `${(median(p50) / base).toFixed(2)}x`];
  });
  printRows(
    `From a line's printing to its reading here, 200 lines a second, ${rounds} rounds: the first ${firstMs / 1000} s, and ${listenMs / 1000} s after ${(firstMs + warmMs) / 1000} s`,
    ['', 'first p50 ms', 'p50 min ms', 'p50 median ms', 'p99 min ms', 'p99 median ms', 'ratio of p50'],
    rows,
  );
}

function followersOf(machine: SshMachine, job: string): readonly Follower[] {
  const { tail, ours, oursBySsh2 } = machine.followers(job);
  return [tail, ours, oursBySsh2];
}

const ms = (value: number) => value.toFixed(2);

interface Delays {
  readonly first: number[];
  readonly warm: number[];
}

/** Milliseconds of each line, sorted; those that were there already, or came while it started, don't count. */
async function listen(follower: Follower): Promise<Delays> {
  const delays: Delays = { first: [], warm: [] };
  let rest = '';
  const begun = Number(process.hrtime.bigint()) / 1e6 + connectMs;
  const stop = follow(follower, (bytes) => {
    const now = Number(process.hrtime.bigint()) / 1e6;
    const lines = (rest + bytes.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const printed = Number(line.slice(0, line.indexOf(' '))) / 1e6;
      const age = printed - begun;
      if (age > firstMs + warmMs) delays.warm.push(now - printed);
      else if (age > 0 && age < firstMs) delays.first.push(now - printed);
    }
  });
  await new Promise((resolve) => setTimeout(resolve, connectMs + firstMs + warmMs + listenMs));
  await stop();
  for (const some of Object.values(delays)) some.sort((a: number, b: number) => a - b);
  return delays;
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function throughput(machine: SshMachine, bytes: number, where: string): Promise<void> {
  const job = machine.start(process.execPath, '-e', printLog(bytes));
  machine.waitForEnd(job);
  const { tail, tailByOurCipher, ours, oursBySsh2 } = machine.followers(job);
  const followers = [tail, tailByOurCipher, ours, oursBySsh2];
  const taken = followers.map(() => [] as number[]);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, follower] of followers.entries()) {
      machine.forgetCopy(job);
      taken[index]?.push(await secondsFor(follower, bytes));
    }
  }
  const first = Math.min(...(taken[0] ?? []));
  const rows = followers.map(({ name }, index) => {
    const seconds = taken[index] ?? [];
    const best = Math.min(...seconds);
    return [name, best.toFixed(2), median(seconds).toFixed(2), (bytes / best / 1e6).toFixed(0), `${(first / best).toFixed(2)}x`];
  });
  printRows(`${bytes / 1e6} MB of a log, read ${where}, ${rounds} rounds`, ['', 'min s', 'median s', 'MB/s', 'throughput'], rows);
}

/** From the first byte to the last: connecting is another bench's. */
async function secondsFor(follower: Follower, bytes: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let got = 0;
  let begun = 0;
  const stop = follow(follower, (piece) => {
    if (got === 0) begun = performance.now();
    got += piece.length;
    if (got >= bytes) resolve((performance.now() - begun) / 1000);
  });
  const seconds = await promise;
  await stop();
  return seconds;
}
