/** One run of an nvidia-smi that goes on and on. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { GpuSample } from '../src/protocol/telemetry.ts';
import { eachLine, giveUp, keepComplaints, patience } from './child-lines.ts';
import { toolEnv } from './driver-tool.ts';
import type { FeedTimes } from './gpu-feed.ts';
import { parseGpuLine, type Query, queryArguments } from './smi-parse.ts';

/** The lines of one round come together. */
const roundMs = 100;
const keptCharacters = 4_096;

export type ToolEnd =
  | { readonly kind: 'ended'; readonly code: number | null; readonly stdout: string; readonly stderr: string; readonly wasSilent: boolean }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'not-started'; readonly problem: string };

interface ToolOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly everyMs: number;
  readonly times: FeedTimes;
  /** What all GPUs said together. */
  readonly onRound: (gpus: readonly GpuSample[]) => void;
  /** It says nothing for too long, for so many milliseconds; it is killed then. */
  readonly onSilence: (withinMs: number) => void;
}

export interface ToolRun {
  readonly child: ChildProcess;
  /** Resolves when it has really ended, which one that hangs in the driver may never do: no second one is started to hang beside it. */
  readonly end: Promise<ToolEnd>;
}

export function runTool(query: Query, { env, everyMs, times, onRound, onSilence }: ToolOptions): ToolRun {
  const child: ChildProcess = spawn('nvidia-smi', queryArguments(query, everyMs), { env: toolEnv(env), stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const complaints = keepComplaints(child);
  let wasSilent = false;
  let round: GpuSample[] = [];
  let roundTimer: NodeJS.Timeout | undefined;
  const waiting = patience(times.firstWithin, (withinMs) => {
    wasSilent = true;
    giveUp(child);
    onSilence(withinMs);
  });
  const finishRound = () => {
    clearTimeout(roundTimer);
    if (round.length > 0) onRound(round);
    round = [];
  };
  eachLine(child, (line) => {
    const gpu = parseGpuLine(line, query);
    if (gpu === null) {
      said = `${said}${line}\n`.slice(-keptCharacters);
      return;
    }
    if (round.some(({ index }) => index === gpu.index)) finishRound();
    round.push(gpu);
    clearTimeout(roundTimer);
    roundTimer = setTimeout(finishRound, roundMs);
    waiting.heard(everyMs + times.nextWithin);
  });
  const end = new Promise<ToolEnd>((resolve) => {
    const settle = (how: ToolEnd) => {
      waiting.end();
      finishRound();
      resolve(how);
    };
    child.on('error', (error) => {
      if (child.pid === undefined) settle('code' in error && error.code === 'ENOENT' ? { kind: 'not-found' } : { kind: 'not-started', problem: error.message });
    });
    child.on('close', (code) => settle({ kind: 'ended', code, stdout: said, stderr: complaints(), wasSilent }));
  });
  return { child, end };
}
