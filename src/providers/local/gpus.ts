/** The GPUs of this computer, as the driver's own tool names them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { GpuNeed } from '../../core/offer.ts';

const run = promisify(execFile);

/** A driver in trouble can keep `nvidia-smi` waiting for ever. */
const answerWithinMs = 15_000;

/** The device names, one a GPU (`NVIDIA A100-SXM4-80GB`). Empty: no NVIDIA GPU, or no driver that answers. */
export async function findGpus(env: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<string[]> {
  try {
    const { stdout } = await run('nvidia-smi', ['-L'], { env, signal, timeout: answerWithinMs });
    return [...stdout.matchAll(/^GPU \d+: (.+) \(UUID: /gm)].map((match) => match[1] ?? '');
  } catch {
    signal?.throwIfAborted();
    return [];
  }
}

/** What can be offered of `devices` for this need; null: not enough of that kind. The need's own name for the GPU is kept. */
export function matchGpus(devices: readonly string[], need: GpuNeed): GpuNeed | null {
  const count = devices.filter((device) => isCalled(device, need.name)).length;
  return count >= need.count && count > 0 ? { name: need.name, count } : null;
}

/** What to say of the GPUs when none is asked for: the most frequent kind. */
export function describeGpus(devices: readonly string[]): GpuNeed | null {
  const counts = new Map<string, number>();
  for (const device of devices) counts.set(shortName(device), (counts.get(shortName(device)) ?? 0) + 1);
  const [first] = [...counts].sort((a, b) => b[1] - a[1]);
  return first === undefined ? null : { name: first[0], count: first[1] };
}

function shortName(device: string): string {
  return device
    .replace(/^(NVIDIA|Tesla|GeForce|Quadro)\s+/gi, '')
    .replace(/^(GeForce|Quadro|Tesla)\s+/i, '')
    .replaceAll(' ', '-');
}

/** `A100-80GB` is a `NVIDIA A100-SXM4-80GB`, `RTX4090` a `NVIDIA GeForce RTX 4090`; `L4` is no `L40S`. */
function isCalled(device: string, name: string): boolean {
  const has = wordsOf(device);
  const wants = wordsOf(name);
  if (wants.length === 0) return false;
  if (wants.every((word) => has.includes(word))) return true;
  const squashed = wants.join('');
  return has.some((_, from) => has.slice(from).some((_, length) => has.slice(from, from + length + 1).join('') === squashed));
}

function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
}
