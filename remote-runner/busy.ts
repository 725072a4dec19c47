/** Whether anybody or anything uses the machine, as far as an ordinary user can see. What can't be seen counts as use. */
import { existsSync, readdirSync } from 'node:fs';
import { isOnStandby } from '../src/protocol/standby.ts';
import { boundedRun } from './bounded-run.ts';
import { toolEnv } from './driver-tool.ts';
import { readText } from './durable.ts';

/** Percent: an idle GPU with a desktop or a driver daemon on it shows one or two. */
const gpuWorksFrom = 5;
const smiWithinMs = 20_000;
const whoWithinMs = 5_000;

/** `none`: there is no GPU. `unknown`: the driver did not say. */
export type GpuUse = 'none' | 'idle' | 'works' | 'unknown';

/** By the GPU's index; or what is true of all. */
export type GpuUses = 'none' | 'unknown' | ReadonlyMap<number, Exclude<GpuUse, 'none'>>;

export async function gpuUses(env: NodeJS.ProcessEnv = process.env): Promise<GpuUses> {
  const query = ['--query-gpu=index,utilization.gpu', '--format=csv,noheader,nounits'];
  const end = await boundedRun('nvidia-smi', query, { env: toolEnv(env), withinMs: smiWithinMs });
  if (end.kind === 'not-found') return 'none';
  return end.kind === 'ended' && end.code === 0 ? parseUses(end.stdout) : 'unknown';
}

/** One line a GPU, as `0, 97`: a whole number of percent; `[N/A]` where it can't tell (a GPU that is shared out). */
export function parseUses(text: string): GpuUses {
  const uses = new Map<number, Exclude<GpuUse, 'none'>>();
  for (const [at, line] of text
    .split('\n')
    .filter((each) => each.trim() !== '')
    .entries()) {
    const fields = line.split(',').map((field) => field.trim());
    const percent = fields.at(-1) ?? '';
    uses.set(fields.length > 1 ? Number(fields[0]) : at, /^\d{1,3}$/.test(percent) ? (Number(percent) >= gpuWorksFrom ? 'works' : 'idle') : 'unknown');
  }
  return uses.size === 0 ? 'unknown' : uses;
}

/** Of some GPUs together, by their indexes; null: of all. One that is not there does not say. */
export function useOf(uses: GpuUses, indexes: readonly number[] | null): GpuUse {
  if (typeof uses === 'string') return uses;
  const some = indexes === null ? [...uses.values()] : indexes.map((index) => uses.get(index) ?? 'unknown');
  if (some.includes('works')) return 'works';
  return some.includes('unknown') ? 'unknown' : 'idle';
}

export interface SeenProcess {
  readonly pid: string;
  /** Of the one that has started it. */
  readonly parent: string;
  /** Its words, apart by spaces. */
  readonly line: string;
}

/** All processes, as far as they can be read; null: this system does not tell. */
export function seenProcesses(): readonly SeenProcess[] | null {
  if (!existsSync('/proc/self/cmdline')) return null;
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const line = readText(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ').trim() ?? '';
      return [{ pid, parent: parentIn(readText(`/proc/${pid}/stat`) ?? ''), line }];
    } catch {
      return []; // it has just ended, or belongs to somebody else on a system that hides that
    }
  });
}

export function commandLines(): readonly string[] | null {
  return seenProcesses()?.map(({ line }) => line) ?? null;
}

/** proc(5): the second field, the command's name, may hold spaces and brackets. */
function parentIn(stat: string): string {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? '';
}

/** A connection of ours to this machine's folder. */
export function isClient(line: string, root: string): boolean {
  return line.endsWith(`runner.mjs connect --root ${root}`);
}

/** OpenSSH names the process of each user that got in, `sshd: ann@pts/0`; whoever only knocks has no `@`. */
export function isSshSession(line: string): boolean {
  return /^sshd(-session)?: [^@[\]]+@/.test(line);
}

/** Our client, or somebody in by SSH. An SSH session that runs nothing but connections on standby is a link's: that is nobody. */
export function isUsed(processes: readonly SeenProcess[], root: string): boolean {
  return processes.some(({ pid, line }) => {
    if (!isSshSession(line)) return isClient(line, root);
    const runs = processes.filter(({ parent }) => parent === pid);
    return runs.length === 0 || !runs.every((child) => isOnStandby(child.line));
  });
}

/** Our client, or somebody in by SSH or at a terminal. */
export async function somebodyIsHere(root: string, env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  const processes = seenProcesses();
  if (processes === null || isUsed(processes, root)) return true;
  const who = await boundedRun('who', [], { env, withinMs: whoWithinMs });
  if (who.kind === 'not-found') return false;
  return who.kind !== 'ended' || who.code !== 0 || who.stdout.trim() !== '';
}

export function clientIsHere(root: string): boolean {
  return commandLines()?.some((line) => isClient(line, root)) ?? false;
}
