/**
 * What the runner's processes take of a machine's memory: at rest, and while a long log that is all metrics is read, followed and sent.
 * The pages of Node's own program count, though all its processes share them; what a process has for itself is told beside.
 */
import { readFileSync } from 'node:fs';
import { printLog } from './print-log.ts';
import { printRows } from './print-table.ts';
import { follow, type SshMachine, startSshMachine } from './ssh-machine.ts';

const logBytes = Number(process.env['BENCH_BYTES'] ?? 1e9);
const kinds = ['serve', 'watch', 'connect'] as const;
const lookEveryMs = 100;

interface Use {
  /** Megabytes; the largest that was seen. */
  readonly resident: number;
  readonly own: number;
  readonly cpuSeconds: number;
}

export async function benchMemory(): Promise<void> {
  await using machine = await startSshMachine();
  const rows = [
    ...(await uses(machine, 'followed, a job that prints nothing', 0)),
    ...(await uses(machine, `followed, ${logBytes / 1e6} MB of log`, logBytes)),
  ];
  printRows("Peak memory of the runner's processes, MB", ['', '', 'resident', 'its own', 'CPU s'], rows);
}

async function uses(machine: SshMachine, what: string, bytes: number): Promise<string[][]> {
  const job = machine.start(process.execPath, '-e', `${printLog(bytes)}; setTimeout(() => {}, 600_000)`);
  let got = 0;
  const stop = follow(machine.followers(job).ours, (piece) => {
    got += piece.length;
  });
  const peaks = new Map<string, Use>();
  const look = () => {
    for (const kind of kinds) {
      for (const pid of machine.pids(kind)) {
        const use = useOf(pid);
        if (use !== null) peaks.set(kind, larger(peaks.get(kind), use));
      }
    }
  };
  const settles = performance.now() + 5_000; // of a small log: what a start takes is over
  while (got < bytes || performance.now() < settles) {
    look();
    await pause(lookEveryMs);
  }
  await pause(3_000); // `serve` may be behind
  look();
  await stop();
  machine.cancel(job);
  return kinds.map((kind) => {
    const { resident, own, cpuSeconds } = peaks.get(kind) ?? { resident: Number.NaN, own: Number.NaN, cpuSeconds: Number.NaN };
    return [what, kind, resident.toFixed(0), own.toFixed(0), cpuSeconds.toFixed(1)];
  });
}

/** null: it has just ended. */
function useOf(pid: number): Use | null {
  const [status, stat] = [readIfThere(`/proc/${pid}/status`), readIfThere(`/proc/${pid}/stat`)];
  if (!status.includes('VmHWM') || stat === '') return null;
  const megabytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1e3;
  const times = stat.split(') ')[1]?.split(' ').slice(11, 13) ?? [];
  return { resident: megabytes('VmHWM'), own: megabytes('RssAnon'), cpuSeconds: times.reduce((sum, ticks) => sum + Number(ticks), 0) / 100 };
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function larger(before: Use | undefined, now: Use): Use {
  if (before === undefined) return now;
  return { resident: Math.max(before.resident, now.resident), own: Math.max(before.own, now.own), cpuSeconds: Math.max(before.cpuSeconds, now.cpuSeconds) };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
