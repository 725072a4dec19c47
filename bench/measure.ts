/** Times commands fairly on a machine that does other things too: in rounds, one of each, so that a slow moment hits all of them. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Contender {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Brings about what each run starts from; not timed. */
  readonly before?: () => void;
}

export interface Sample {
  /** From spawn to exit. */
  readonly wallMs: number;
  /** User and system time of the command and of the children that it waited for; null where /proc does not tell. */
  readonly cpuMs: number | null;
}

export interface Row {
  readonly name: string;
  readonly minMs: number;
  readonly medianMs: number;
  /** Mean: the kernel counts in steps of 10 ms, which the rounds average out. */
  readonly cpuMs: number | null;
  /** Of the minima, to the first contender's. */
  readonly ratio: number;
}

/** One warm-up of each, then `rounds` rounds. `measure` is there for tests. @throws Error when a command fails: the time of a failure says nothing */
export function compare(contenders: readonly Contender[], rounds: number, measure: (contender: Contender) => Sample = runOnce): readonly Row[] {
  const taken = contenders.map((contender) => ({ contender, samples: [] as Sample[] }));
  for (const { contender } of taken) measure(contender);
  for (let round = 0; round < rounds; round += 1) {
    for (const { contender, samples } of taken) samples.push(measure(contender));
  }
  const baseline = Math.min(...(taken[0]?.samples.map(({ wallMs }) => wallMs) ?? []));
  return taken.map(({ contender, samples }) => summarise(contender.name, samples, baseline));
}

function summarise(name: string, samples: readonly Sample[], baseline: number): Row {
  const wall = samples.map(({ wallMs }) => wallMs);
  const cpu = samples.flatMap(({ cpuMs }) => (cpuMs === null ? [] : [cpuMs]));
  const minMs = Math.min(...wall);
  const mean = cpu.reduce((sum, ms) => sum + ms, 0) / cpu.length;
  return { name, minMs, medianMs: median(wall), cpuMs: cpu.length === 0 ? null : mean, ratio: minMs / baseline };
}

/** Not a number when there are none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}

function runOnce({ name, argv, env, cwd, before }: Contender): Sample {
  before?.();
  const [command, ...rest] = argv;
  const cpuBefore = childrenCpuMs();
  const start = performance.now();
  const { status, signal, error, stderr } = spawnSync(command, rest, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env }, cwd });
  const wallMs = performance.now() - start;
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${name} ended with ${status ?? signal}: ${stderr.toString().slice(-1000)}`);
  const cpuAfter = childrenCpuMs();
  return { wallMs, cpuMs: cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore };
}

/** What the ended children of this process have used so far (fields 16 and 17 of its stat file, in ticks of 10 ms). */
function childrenCpuMs(): number | null {
  try {
    const afterName = readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(afterName[13]) + Number(afterName[14])) * 10;
  } catch {
    return null;
  }
}
