/** One run of an nvidia-smi that goes on and on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';
import type { GpuSample } from '../src/protocol/telemetry.ts';
import { toolEnv } from './driver-tool.ts';
import { firstWithinMs, type GpuFeedOptions, nextWithinMs } from './gpu-feed.ts';
import { parseGpuLine, type Query, queryArguments } from './smi-parse.ts';

/** The lines of one round come together. */
const roundMs = 100;
const keptCharacters = 4_096;

export type ToolEnd =
  | { readonly kind: 'ended'; readonly code: number | null; readonly stdout: string; readonly stderr: string; readonly wasSilent: boolean }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'not-started'; readonly problem: string };

export interface ToolRun {
  readonly child: ChildProcess;
  /** Resolves when it has really ended, which one that hangs in the driver may never do: no second one is started to hang beside it. */
  readonly end: Promise<ToolEnd>;
  /** Resolves, with the milliseconds that it had, when it says nothing for too long; it is killed then. */
  readonly silent: Promise<number>;
}

export function runTool(query: Query, { env, everyMs }: Pick<GpuFeedOptions, 'env' | 'everyMs'>, onRound: (gpus: GpuSample[]) => void): ToolRun {
  const child = spawn('nvidia-smi', queryArguments(query, everyMs), { env: toolEnv(env), stdio: ['ignore', 'pipe', 'pipe'] });
  const silence = Promise.withResolvers<number>();
  let said = '';
  let complained = '';
  let wasSilent = false;
  let round: GpuSample[] = [];
  let roundTimer: NodeJS.Timeout | undefined;
  let silenceTimer: NodeJS.Timeout | undefined;
  const expectWord = (withinMs: number) => {
    clearTimeout(silenceTimer);
    silenceTimer = setTimeout(() => {
      wasSilent = true;
      giveUp(child);
      silence.resolve(withinMs);
    }, withinMs);
    silenceTimer.unref();
  };
  const finishRound = () => {
    clearTimeout(roundTimer);
    if (round.length > 0) onRound(round);
    round = [];
  };
  expectWord(firstWithinMs);
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
    expectWord(everyMs + nextWithinMs);
  });
  child.stderr.on('error', () => {});
  child.stderr.on('data', (chunk: Buffer) => {
    complained = `${complained}${chunk.toString()}`.slice(-keptCharacters);
  });
  const end = new Promise<ToolEnd>((resolve) => {
    const settle = (how: ToolEnd) => {
      clearTimeout(silenceTimer);
      finishRound();
      resolve(how);
    };
    child.on('error', (error) => {
      if (child.pid === undefined) settle('code' in error && error.code === 'ENOENT' ? { kind: 'not-found' } : { kind: 'not-started', problem: error.message });
    });
    child.on('close', (code) => settle({ kind: 'ended', code, stdout: said, stderr: complained, wasSilent }));
  });
  return { child, end, silent: silence.promise };
}

function eachLine(child: ChildProcess, take: (line: string) => void): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  child.stdout?.on('error', () => {});
  child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = (lines.pop() ?? '').slice(-keptCharacters);
    for (const line of lines) if (line.trim() !== '') take(line);
  });
  child.stdout?.on('end', () => {
    if (rest.trim() !== '') take(rest);
  });
}

/** One that hangs in the driver can't be killed: it is left to itself. */
export function giveUp(child: ChildProcess): void {
  child.kill('SIGKILL');
  for (const stream of child.stdio) stream?.destroy();
  child.unref();
}
