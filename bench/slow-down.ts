/**
 * How much slower a training loop is beside the runner. One and the same job, which prints ten lines a second with what it measures,
 * runs in turns of some 1.5 s with the runner's processes at work and with them stopped (SIGSTOP): so both of a pair have
 * the same code in the same state, and whatever else the computer does changes little from one turn to the next.
 */
import { readFileSync } from 'node:fs';
import { median } from './measure.ts';
import { follow, type SshMachine } from './ssh-machine.ts';

/** Of the job's lines, each of which says how far it has come. */
interface Sight {
  readonly ms: number;
  readonly steps: number;
  /** Time that its threads have been given, milliseconds. */
  readonly cpuMs: number;
}

interface Turn {
  readonly from: number;
  readonly to: number;
}

const turnMs = 1_500;
/** After a change of turns: what was held up is made up for, or dies away. */
const settleMs = 300;

/** Each of `workers` threads counts as fast as it can. */
const loop = (workers: number) => `
const { Worker, isMainThread, workerData } = require('worker_threads');
if (isMainThread) {
  const counts = new Int32Array(new SharedArrayBuffer(4 * ${workers}));
  for (let n = 0; n < ${workers}; n += 1) new Worker(__filename, { argv: [], workerData: { counts, n } });
  setInterval(() => {
    const { user, system } = process.cpuUsage();
    console.log('step=' + counts.reduce((a, b) => a + b) + ' loss=0.5 ms=' + Date.now() + ' cpu_us=' + (user + system));
  }, 100);
} else {
  const { counts, n } = workerData;
  let x = 1;
  for (;;) {
    for (let i = 0; i < 1e5; i += 1) x = (x * 48271 + i) % 2147483647;
    Atomics.add(counts, n, x > 0 ? 1 : 1);
  }
}
`;

/** A row: steps a second and a second of CPU time in comparison with a stopped runner, and what the runner took meanwhile. */
export async function slowDown(machine: SshMachine, what: string, workers: number, pairs: number, trainFile: (code: string) => string): Promise<string[]> {
  const job = machine.start(process.execPath, trainFile(loop(workers)));
  const stop = follow(machine.followers(job).ours, () => {});
  await pause(5_000);
  const pids = (['serve', 'watch', 'connect'] as const).flatMap((kind) => machine.pids(kind));
  const turns: { readonly beside: Turn; readonly alone: Turn }[] = [];
  try {
    for (let pair = 0; pair < pairs; pair += 1) {
      const first = await turn(pids, pair % 2 === 0);
      const second = await turn(pids, pair % 2 === 1);
      turns.push(pair % 2 === 0 ? { beside: first, alone: second } : { beside: second, alone: first });
    }
  } finally {
    signal(pids, 'SIGCONT');
  }
  await stop();
  const sights = readSights(machine.logOf(job));
  machine.cancel(job);
  const ratios = (rate: (turn: readonly Sight[]) => number) => turns.map(({ beside, alone }) => rate(during(sights, alone)) / rate(during(sights, beside)));
  return [what, slower(ratios(perSecond)), slower(ratios(perCpuSecond))];
}

async function turn(pids: readonly number[], isAtWork: boolean): Promise<Turn> {
  signal(pids, isAtWork ? 'SIGCONT' : 'SIGSTOP');
  const from = Date.now() + settleMs;
  await pause(turnMs + settleMs);
  return { from, to: Date.now() };
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) process.kill(pid, name);
}

function readSights(log: string): Sight[] {
  return [...readFileSync(log, 'latin1').matchAll(/^step=(\d+) loss=0.5 ms=(\d+) cpu_us=(\d+)$/gm)].map(([, steps, ms, cpu]) => ({
    steps: Number(steps),
    ms: Number(ms),
    cpuMs: Number(cpu) / 1e3,
  }));
}

function during(sights: readonly Sight[], { from, to }: Turn): Sight[] {
  return sights.filter(({ ms }) => ms >= from && ms <= to);
}

const perSecond = (turn: readonly Sight[]) => grown(turn, 'steps') / grown(turn, 'ms');
const perCpuSecond = (turn: readonly Sight[]) => grown(turn, 'steps') / grown(turn, 'cpuMs');

function grown(turn: readonly Sight[], what: keyof Sight): number {
  return (turn.at(-1)?.[what] ?? Number.NaN) - (turn[0]?.[what] ?? Number.NaN);
}

/** The median of the pairs, and where it lies with 95 % confidence: by rank, so whatever the distribution. */
function slower(ratios: readonly number[]): string {
  const sorted = [...ratios].sort((a, b) => a - b);
  const half = 0.98 * Math.sqrt(sorted.length);
  const at = (rank: number) => sorted[Math.min(sorted.length - 1, Math.max(0, rank))] ?? Number.NaN;
  const text = (ratio: number) => ((ratio - 1) * 100).toFixed(2);
  return `${text(median(ratios))} % (${text(at(Math.floor(sorted.length / 2 - half)))} to ${text(at(Math.ceil(sorted.length / 2 + half)))})`;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
