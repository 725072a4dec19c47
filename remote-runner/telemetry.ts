/** The machine as it is from moment to moment: the answer to the call `telemetry`. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Call } from '../src/protocol/call-state.ts';
import type { Calls } from '../src/protocol/calls.ts';
import type { GpuProcess, TelemetrySample } from '../src/protocol/telemetry.ts';
import type { GpuFeed } from './gpu-feed.ts';
import { type HostLook, openHostLook } from './host-look.ts';
import { cookieName } from './job-env.ts';
import type { MachineFolder } from './machine-folder.ts';
import { openGpuFeed } from './open-gpu-feed.ts';
import { readProc } from './proc-file.ts';
import { RunnerError } from './runner-error.ts';

const leastEveryMs = 500;
const mostEveryMs = 3_600_000;
/** The first sample waits so long for the driver's first word. */
const firstWordMs = 3_000;
const lookForFirstWordMs = 50;

/** Until the call is cancelled, or the connection ends. */
export async function watchTelemetry(call: Call, machine: MachineFolder, script: string): Promise<Calls['telemetry']['result']> {
  const { everyMs } = call.params as Calls['telemetry']['params'];
  if (!(everyMs >= leastEveryMs && everyMs <= mostEveryMs)) {
    throw new RunnerError('bad-input', `everyMs is not a number of milliseconds from ${leastEveryMs} to ${mostEveryMs}.`);
  }
  const host = openHostLook({ workdir: machine.workdir });
  const feed = openGpuFeed(script, { env: process.env, everyMs, withProcesses: true });
  const { signal } = call;
  try {
    for (const until = Date.now() + firstWordMs; feed.latest() === null && Date.now() < until && !signal.aborted; ) await pause(lookForFirstWordMs, signal);
    for (let next = performance.now(); !signal.aborted; ) {
      await call.event(takeSample(host, feed));
      next = Math.max(next + everyMs, performance.now()); // a slow reader gets fewer, not older ones
      await pause(next - performance.now(), signal);
    }
  } finally {
    feed.close();
  }
  return {};
}

export function takeSample(host: HostLook, feed: GpuFeed): TelemetrySample {
  const { source, problem, gpus, processes } = feed.latest() ?? { source: 'none', problem: 'the NVIDIA driver has not answered yet', gpus: [], processes: [] };
  return { t: Date.now(), source, problem, gpus, processes: processes.map((each) => ({ ...each, job: jobOf(each.pid) })), host: host.look() };
}

/** The job that a process was started by; null for processes of others, whose environment can't be read. */
function jobOf(pid: number): GpuProcess['job'] {
  const environment = readProc(`/proc/${pid}/environ`)?.split('\0') ?? [];
  return environment.find((entry) => entry.startsWith(`${cookieName}=`))?.slice(cookieName.length + 1) ?? null;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
