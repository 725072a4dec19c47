/** What the runner takes from the machine: CPU time while a job prints nothing and while it prints, and how much slower a training loop is. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { printRows } from './print-table.ts';
import { slowDown } from './slow-down.ts';
import { follow, type SshMachine, startSshMachine } from './ssh-machine.ts';

const pairs = Number(process.env['BENCH_PAIRS'] ?? 40);
const watchMs = Number(process.env['BENCH_WATCH_MS'] ?? 30_000);
const kinds = ['serve', 'watch', 'connect'] as const;

const printLines = (everyMs: number) =>
  `const fs = require('fs'); setInterval(() => fs.writeSync(1, 'epoch=1 step=000000 loss=0.123456 acc=0.9876\\n'), ${everyMs})`;
export async function benchRunnerLoad(): Promise<void> {
  await using machine = await startSshMachine();
  const rows = [await load(machine, 'a job that prints nothing, followed', ['sleep', '600'], true)];
  rows.push(await load(machine, 'a job that prints nothing, nobody looks', ['sleep', '600'], false));
  rows.push(await load(machine, '10 lines a second, followed', [process.execPath, '-e', printLines(100)], true));
  rows.push(await load(machine, '200 lines a second, followed', [process.execPath, '-e', printLines(5)], true));
  printRows(`CPU of the runner's processes, percent of a core over ${watchMs / 1000} s`, ['', ...kinds, 'together'], rows);
  await slowDowns(machine);
}

async function load(machine: SshMachine, what: string, command: readonly string[], followed: boolean): Promise<string[]> {
  const job = machine.start(...command);
  const stop = followed ? follow(machine.followers(job).ours, () => {}) : async () => {};
  await pause(10_000); // what a start leaves behind is cleared away by then
  const before = kinds.map((kind) => machine.pids(kind).map(cpuNs));
  const pids = kinds.map((kind) => machine.pids(kind));
  await pause(watchMs);
  const percent = pids.map((list, index) => list.reduce((sum, pid, n) => sum + cpuNs(pid) - (before[index]?.[n] ?? 0), 0) / watchMs / 1e4);
  await stop();
  machine.cancel(job);
  return [what, ...percent.map((value) => value.toFixed(2)), percent.reduce((a, b) => a + b, 0).toFixed(2)];
}

/** Of all threads, also of those that sleep. */
function cpuNs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0]), 0);
}

async function slowDowns(machine: SshMachine): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-train-'));
  const trainFile = (code: string) => {
    const file = join(folder, `${process.hrtime.bigint()}.cjs`);
    writeFileSync(file, code);
    return file;
  };
  const rows = [
    await slowDown(machine, 'on one core', 1, pairs, trainFile),
    await slowDown(machine, `on every core (${availableParallelism()})`, availableParallelism(), pairs, trainFile),
  ];
  rmSync(folder, { recursive: true });
  printRows(
    `A training loop that prints ten lines a second, followed: slower by, median of ${pairs} pairs (95 %)`,
    ['', 'steps a second', 'steps a second of CPU'],
    rows,
  );
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
