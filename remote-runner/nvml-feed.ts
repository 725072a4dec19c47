/** GPUs through a process that asks NVML: see `nvml-watch.ts`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { eachLine, giveUp, patience } from './child-lines.ts';
import { engineOptions } from './engine-options.ts';
import { feedTimes, type GpuFeed, type GpuFeedOptions, type GpuReading, isSilent, restartBy } from './gpu-feed.ts';
import type { NvmlLine } from './nvml-watch.ts';

export interface NvmlFeedOptions extends GpuFeedOptions {
  /** The runner's own file. */
  readonly script: string;
  readonly koffiFile: string;
  /** NVML is not to be had here, or what asks it does not run: this feed is over. */
  readonly onUnusable: () => void;
}

/** Its work is small. */
const mostMb = 64;
/** Ends without a reading, in a row, after which it counts as unusable. */
const mostFailures = 3;

export function openNvmlFeed({ env, everyMs, withProcesses, script, koffiFile, onUnusable, times = feedTimes }: NvmlFeedOptions): GpuFeed {
  let latest: GpuReading | null = null;
  let child: ChildProcess | null = null;
  let closed = false;
  let failures = 0;

  const close = () => {
    closed = true;
    restart.stop();
    if (child !== null) giveUp(child);
  };
  const unusable = () => {
    close();
    onUnusable();
  };
  const take = (line: string) => {
    const said = parseLine(line);
    if (said === null || closed) return;
    if ('unusable' in said) return unusable();
    latest = { source: said.gpus.length > 0 ? 'nvml' : 'none', ...said };
    failures = 0;
    if (!said.gpus.every(isSilent)) restart.worked(); // else it ends soon, and the next one will hear no more
  };
  const start = () => {
    try {
      run();
    } catch {
      restart.later(); // no memory, no process left
    }
  };
  const run = () => {
    const args = [...engineOptions(mostMb), script, 'nvml', koffiFile, String(everyMs), withProcesses ? 'processes' : 'gpus'];
    const started: ChildProcess = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'ignore'] });
    child = started;
    let wasSilent = false;
    const waiting = patience(times.firstWithin, (withinMs) => {
      wasSilent = true;
      latest = { source: 'none', problem: `the NVIDIA driver did not answer within ${withinMs / 1000} s`, gpus: [], processes: [] };
      giveUp(started);
    });
    started.stdin?.on('error', () => {});
    eachLine(started, (line) => {
      waiting.heard(everyMs + times.nextWithin);
      take(line);
    });
    const onEnd = () => {
      waiting.end();
      if (child !== started || closed) return;
      child = null;
      failures += wasSilent ? 0 : 1;
      if (failures >= mostFailures) return unusable();
      restart.later();
    };
    // One that hangs in the driver may never end: then none is started to hang beside it.
    started.on('error', () => started.pid === undefined && onEnd());
    started.on('close', onEnd);
  };
  const restart = restartBy(times, start);
  start();
  return { latest: () => latest, close };
}

function parseLine(line: string): NvmlLine | null {
  try {
    return JSON.parse(line) as NvmlLine;
  } catch {
    return null; // a library that prints what it thinks
  }
}
