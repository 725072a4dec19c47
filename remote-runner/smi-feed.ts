/**
 * GPUs through one nvidia-smi that goes on and on: to start one for each look takes seconds on machines with many GPUs. It is
 * started again when it ends, and ends by itself with its reader: by the signal that whoever writes into an abandoned pipe gets.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { GpuProcess, GpuSample } from '../src/protocol/telemetry.ts';
import { boundedRun } from './bounded-run.ts';
import { giveUp } from './child-lines.ts';
import { explainTool, noTool, notStarted, silentTool, toolEnv } from './driver-tool.ts';
import { feedTimes, type GpuFeed, type GpuFeedOptions, type GpuReading, isSilent, restartBy } from './gpu-feed.ts';
import { fullQuery, parseProcesses, processArguments, type Query, unknownField, withoutField } from './smi-parse.ts';
import { runTool, type ToolEnd } from './smi-run.ts';

const processesEveryMs = 10_000;
const processesWithinMs = 30_000;

export function openSmiFeed({ env, everyMs, withProcesses, times = feedTimes }: GpuFeedOptions): GpuFeed {
  let query = fullQuery();
  let latest: GpuReading | null = null;
  let child: ChildProcess | null = null;
  let closed = false;
  let mayAsk = true;
  let processes: readonly Omit<GpuProcess, 'job'>[] = [];
  const asking = withProcesses ? setInterval(() => void askForProcesses(), processesEveryMs) : undefined;
  asking?.unref();

  const tell = (problem: string | null, gpus: readonly GpuSample[]) => {
    if (closed) return;
    const isFirst = latest === null || latest.gpus.length === 0;
    latest = { source: gpus.length > 0 ? 'nvidia-smi' : 'none', problem, gpus, processes: gpus.length > 0 ? processes : [] };
    if (isFirst && gpus.length > 0 && withProcesses) void askForProcesses();
  };
  const askForProcesses = async () => {
    const gpus = latest?.gpus ?? [];
    if (gpus.length === 0 || !mayAsk) return;
    mayAsk = false;
    const end = await boundedRun('nvidia-smi', processArguments, { env: toolEnv(env), withinMs: processesWithinMs }).catch(() => null);
    processes = end?.kind === 'ended' && end.code === 0 ? parseProcesses(end.stdout, gpus) : [];
    mayAsk = end?.kind !== 'timed-out'; // it may hang for ever: no second one beside it
  };
  const start = () => {
    try {
      run();
    } catch (error) {
      tell(notStarted(String(error)).problem, []); // no memory, no process left
      restart.later();
    }
  };
  const run = () => {
    const tool = runTool(query, {
      env,
      everyMs,
      times,
      onRound: (gpus) => {
        restart.worked();
        tell(gpus.some(isSilent) ? 'a GPU does not answer' : null, gpus);
      },
      onSilence: (withinMs) => tell(silentTool(withinMs).problem, []),
    });
    child = tool.child;
    tool.end.then((end) => {
      child = null;
      if (closed) return;
      const other = askedLess(query, end);
      if (other !== null) {
        query = other;
        start();
        return;
      }
      if (!(end.kind === 'ended' && end.wasSilent)) tell(problemOf(end), []);
      restart.later();
    });
  };
  const restart = restartBy(times, start);
  start();
  return {
    latest: () => latest,
    close() {
      closed = true;
      restart.stop();
      clearInterval(asking);
      if (child !== null) giveUp(child);
    },
  };
}

/** What else to ask, when it does not know a field. */
function askedLess(query: Query, end: ToolEnd): Query | null {
  const unknown = end.kind === 'ended' ? unknownField(`${end.stdout}\n${end.stderr}`) : null;
  return unknown === null ? null : withoutField(query, unknown);
}

/** null: there is no driver, and so no GPU. */
function problemOf(end: ToolEnd): string | null {
  if (end.kind === 'not-found') return hasDriver() ? noTool.problem : null;
  return (end.kind === 'not-started' ? notStarted(end.problem) : explainTool(end.code, end.stdout, end.stderr)).problem;
}

/** A driver is loaded: then the machine has GPUs, whether its tool is found or not. */
function hasDriver(): boolean {
  return existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidiactl');
}
