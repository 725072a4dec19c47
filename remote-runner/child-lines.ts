/** A program of which every line counts as it comes, and that may hang where nobody can kill it. */
import type { ChildProcess } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';

const keptCharacters = 4_096;
/** A line that is longer is none of ours. */
const longestLine = 1_048_576;

/** Whole lines of stdout, without their end; empty ones are left out. */
export function eachLine(child: ChildProcess, take: (line: string) => void): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  child.stdout?.on('error', () => {});
  child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = (lines.pop() ?? '').slice(-longestLine);
    for (const line of lines) if (line.trim() !== '') take(line);
  });
  child.stdout?.on('end', () => {
    if (rest.trim() !== '') take(rest);
  });
}

/** The end of what it says on stderr. */
export function keepComplaints(child: ChildProcess): () => string {
  let complained = '';
  child.stderr?.on('error', () => {});
  child.stderr?.on('data', (chunk: Buffer) => {
    complained = `${complained}${chunk.toString()}`.slice(-keptCharacters);
  });
  return () => complained;
}

/** Kills it, and waits for nothing: one that hangs in the driver can't be killed, and is left to itself. */
export function giveUp(child: ChildProcess): void {
  child.kill('SIGKILL');
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
  child.unref();
}

export interface Patience {
  /** It has said something: the time for the next word begins. */
  heard(withinMs: number): void;
  end(): void;
}

/** Calls `onSilence` when it is not heard in time. */
export function patience(withinMs: number, onSilence: (withinMs: number) => void): Patience {
  let timer: NodeJS.Timeout | undefined;
  const heard = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => onSilence(ms), ms);
    timer.unref();
  };
  heard(withinMs);
  return { heard, end: () => clearTimeout(timer) };
}
