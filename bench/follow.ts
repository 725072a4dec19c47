/**
 * Following a job's log beside `ssh host tail -F` on the same file, through the same OpenSSH server. The contenders take turns, on one
 * job for the latency and one for the throughput, so that each reads the very same bytes.
 */
import { median } from './measure.ts';
import { printRows } from './print-table.ts';
import { type Follower, follow, type SshMachine, startSshMachine } from './ssh-machine.ts';

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 5);
const gigabyte = Number(process.env['BENCH_BYTES'] ?? 1e9);
const listenMs = 5_000;

/** Prints the time of a clock that all processes of a computer share, 200 lines a second. */
const printTimes = "const fs = require('fs'); setInterval(() => fs.writeSync(1, `${process.hrtime.bigint()} epoch=1 loss=0.123456 acc=0.9876\\n`), 5)";

export async function benchFollow(): Promise<void> {
  await using machine = await startSshMachine();
  await latency(machine);
  await throughput(machine);
}

async function latency(machine: SshMachine): Promise<void> {
  const job = machine.start(process.execPath, '-e', printTimes);
  const followers = followersOf(machine, job);
  const taken = followers.map(() => ({ p50: [] as number[], p99: [] as number[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, follower] of followers.entries()) {
      const delays = (await listen(follower)).sort((a, b) => a - b);
      taken[index]?.p50.push(percentile(delays, 0.5));
      taken[index]?.p99.push(percentile(delays, 0.99));
    }
  }
  machine.cancel(job);
  const first = median(taken[0]?.p50 ?? []);
  const rows = followers.map(({ name }, index) => {
    const { p50 = [], p99 = [] } = taken[index] ?? {};
    return [name, ms(Math.min(...p50)), ms(median(p50)), ms(Math.min(...p99)), ms(median(p99)), `${(median(p50) / first).toFixed(2)}x`];
  });
  printRows(
    `From a line's printing to its reading here, 200 lines a second, ${rounds} rounds of ${listenMs / 1000} s`,
    ['', 'p50 min ms', 'p50 median ms', 'p99 min ms', 'p99 median ms', 'ratio of p50'],
    rows,
  );
}

function followersOf(machine: SshMachine, job: string): readonly Follower[] {
  const { tail, ours, oursBySsh2 } = machine.followers(job);
  return [tail, ours, oursBySsh2];
}

const ms = (value: number) => value.toFixed(2);

/** Milliseconds of each line; those that were there already, or came while it started, don't count. */
async function listen(follower: Follower): Promise<number[]> {
  const delays: number[] = [];
  let rest = '';
  const begun = process.hrtime.bigint();
  const countFrom = begun + 2_500_000_000n;
  const stop = follow(follower, (bytes) => {
    const now = process.hrtime.bigint();
    const lines = (rest + bytes.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const printed = BigInt(line.slice(0, line.indexOf(' ')));
      if (printed > countFrom) delays.push(Number(now - printed) / 1e6);
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 2_500 + listenMs));
  await stop();
  return delays;
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function throughput(machine: SshMachine): Promise<void> {
  const job = machine.start('sh', '-c', `yes 'epoch=1 step=000000 loss=0.123456 acc=0.9876 lr=0.001' | head -c ${gigabyte}`);
  machine.waitForEnd(job);
  const followers = followersOf(machine, job);
  const taken = followers.map(() => [] as number[]);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, follower] of followers.entries()) {
      machine.forgetCopy(job);
      taken[index]?.push(await secondsFor(follower, gigabyte));
    }
  }
  const first = Math.min(...(taken[0] ?? []));
  const rows = followers.map(({ name }, index) => {
    const seconds = taken[index] ?? [];
    const best = Math.min(...seconds);
    return [name, best.toFixed(2), median(seconds).toFixed(2), (gigabyte / best / 1e6).toFixed(0), `${(first / best).toFixed(2)}x`];
  });
  printRows(`A log of ${gigabyte / 1e6} MB, read whole, ${rounds} rounds`, ['', 'min s', 'median s', 'MB/s', 'throughput'], rows);
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
