/** One sampling for all jobs that run: it begins with the first that wants samples, and ends with the last. */
import type { TelemetrySample } from '../src/protocol/telemetry.ts';
import type { GpuFeed } from './gpu-feed.ts';
import { type HostLook, openHostLook } from './host-look.ts';
import type { MachineFolder } from './machine-folder.ts';
import { openGpuFeed } from './open-gpu-feed.ts';
import { takeSample } from './telemetry.ts';

export interface Sampler {
  /** A sample at once, every two seconds, and whenever somebody asks for one, until the returned function is called. */
  subscribe(take: (sample: TelemetrySample) => void): () => void;
  /** A sample for all now: everybody's rates are those since the sample before. */
  sample(): void;
}

/** Milliseconds. The driver's own figures are means over up to a second; nobody watches, and the job has to go undisturbed. */
const everyMs = 2_000;

/** `script`: the runner's own file. */
export function createSampler(machine: MachineFolder, script: string): Sampler {
  const takers = new Set<(sample: TelemetrySample) => void>();
  let running: { readonly host: HostLook; readonly feed: GpuFeed; readonly timer: NodeJS.Timeout } | null = null;
  const open = () => {
    const host = openHostLook({ workdir: machine.workdir });
    const feed = openGpuFeed(script, { env: process.env, everyMs, withProcesses: false });
    const timer = setInterval(sample, everyMs);
    timer.unref();
    return { host, feed, timer };
  };
  const sample = () => {
    if (running === null) return;
    const taken = takeSample(running.host, running.feed);
    for (const take of takers) take(taken);
  };
  return {
    subscribe(take) {
      takers.add(take);
      running ??= open();
      sample();
      return () => {
        takers.delete(take);
        if (takers.size > 0 || running === null) return;
        clearInterval(running.timer);
        running.feed.close();
        running = null;
      };
    },
    sample,
  };
}
