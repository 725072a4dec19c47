/** What the runner takes from the machine: CPU time while a job prints nothing and while it prints, memory after a long log, and how much slower a job on all cores is. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from './measure.ts';
import { printRows } from './print-table.ts';
import { follow, type SshMachine, startSshMachine } from './ssh-machine.ts';

const pairs = Number(process.env['BENCH_PAIRS'] ?? 15);
const gigabyte = Number(process.env['BENCH_BYTES'] ?? 1e9);
const watchMs = Number(process.env['BENCH_WATCH_MS'] ?? 30_000);
const kinds = ['serve', 'watch', 'connect'] as const;

const printLines = "const fs = require('fs'); setInterval(() => fs.writeSync(1, 'epoch=1 step=000000 loss=0.123456 acc=0.9876\\n'), 5)";
/** Training on every core: each counts to the same number. */
const train = `
const { Worker, isMainThread } = require('worker_threads');
const count = () => { let x = 0; for (let i = 0; i < 1.5e9; i++) x = (x + (i ^ x)) | 0; return x; };
if (isMainThread) {
  const begun = process.hrtime.bigint();
  let left = ${availableParallelism()};
  const line = setInterval(() => console.log('step=1 loss=0.5'), 100);
  for (let n = left; n > 0; n--) new Worker(__filename, { argv: ['-'] }).on('exit', () => { if (--left === 0) { clearInterval(line); console.log('took ' + (process.hrtime.bigint() - begun)); } });
} else count();
`;

export async function benchRunnerLoad(): Promise<void> {
  await using machine = await startSshMachine();
  const rows = [await load(machine, 'a job that prints nothing, followed', ['sleep', '600'], true)];
  rows.push(await load(machine, 'a job that prints nothing, nobody looks', ['sleep', '600'], false));
  rows.push(await load(machine, '200 lines a second, followed', [process.execPath, '-e', printLines], true));
  printRows(`CPU of the runner's processes, percent of a core over ${watchMs / 1000} s`, ['', ...kinds, 'together'], rows);
  await memory(machine);
  await slowdown(machine);
}

async function load(machine: SshMachine, what: string, command: readonly string[], followed: boolean): Promise<string[]> {
  const job = machine.start(...command);
  const stop = followed ? follow(machine.followers(job).ours, () => {}) : async () => {};
  await pause(4_000);
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

function peakMb(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1e3;
}

async function memory(machine: SshMachine): Promise<void> {
  const job = machine.start('sh', '-c', `yes 'epoch=1 step=000000 loss=0.123456 acc=0.9876 lr=0.001' | head -c ${gigabyte}; sleep 600`);
  let got = 0;
  const whole = Promise.withResolvers<void>();
  const stop = follow(machine.followers(job).ours, (bytes) => {
    got += bytes.length;
    if (got >= gigabyte) whole.resolve();
  });
  await whole.promise;
  await pause(2_000);
  const peaks = kinds.map((kind) => Math.max(...machine.pids(kind).map(peakMb)).toFixed(0));
  await stop();
  machine.cancel(job);
  printRows(`Peak resident memory, MB, after ${gigabyte / 1e6} MB of log`, ['', ...kinds], [['', ...peaks]]);
}

async function slowdown(machine: SshMachine): Promise<void> {
  const [bare, under]: [number[], number[]] = [[], []];
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-train-'));
  const trainFile = join(folder, 'train.cjs');
  writeFileSync(trainFile, train);
  for (let pair = 0; pair < pairs; pair += 1) {
    const one = () => bare.push(took(spawnSync(process.execPath, [trainFile], { encoding: 'utf8' }).stdout));
    const two = async () => {
      const job = machine.start('sh', '-c', `exec '${process.execPath}' '${trainFile}'`);
      let text = '';
      const stop = follow(machine.followers(job).ours, (bytes) => {
        text += bytes.toString('latin1');
      });
      while (!text.includes('took ')) await pause(50);
      await stop();
      under.push(took(text));
    };
    if (pair % 2 === 0) one();
    await two();
    if (pair % 2 === 1) one();
  }
  rmSync(folder, { recursive: true });
  const ratios = bare.map((alone, index) => (under[index] ?? Number.NaN) / alone);
  printRows(
    `A training loop on every core, ${pairs} pairs`,
    ['', 'min s', 'median s'],
    [
      ['bare', Math.min(...bare).toFixed(3), median(bare).toFixed(3)],
      ['under the runner, followed', Math.min(...under).toFixed(3), median(under).toFixed(3)],
      ['slower by, median of the pairs', '', `${((median(ratios) - 1) * 100).toFixed(2)} %`],
    ],
  );
}

function took(text: string): number {
  return Number(/took (\d+)/.exec(text)?.[1]) / 1e9;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
