/** What takes part in a comparison: something that brings a folder to the other end. */
import { spawn } from 'node:child_process';
import type { Network } from './network.ts';

export interface Contender {
  readonly name: string;
  /** Ours are judged by the best `rsync`; a `peer` is there to be seen. */
  readonly kind: 'rsync' | 'peer' | 'ours';
  /** What ours is judged as; see `wanted.ts`. */
  readonly form: Form | null;
  /** False: over a connection that is there already. */
  readonly connects: boolean;
  /** Nothing of it is at the other end afterwards, nor remembered here. Not timed. */
  clear(): Promise<void>;
  /** Whatever it needs before the first `run` after `clear`. Not timed. */
  prepare(): Promise<void>;
  /** Just before each `run`; not timed. */
  ready?(round: number): Promise<void>;
  /** What is timed. */
  run(): Promise<void>;
  /** Where the folder arrives: equal to the source after each run. */
  place(): string;
  /** Its own source, which it edits by itself; absent: everybody's. */
  readonly ownSource?: string;
}

/** `cold`: a process and a connection of its own each time. `warm`: a process, over a connection that is there. `live`: neither is made. */
export type Form = 'cold' | 'warm' | 'live';

/** Where a comparison takes place. */
export interface Scene {
  readonly network: Network;
  /** The folder that is synced. */
  readonly source: string;
  /** An own folder for what contenders keep here. */
  readonly room: string;
  /** The same at the other end. */
  readonly farRoom: string;
  readonly signal: AbortSignal;
}

/** Runs a program to its end. @throws Error when it fails: the time of a failure says nothing */
export function runProgram(argv: readonly string[], { signal, env, cwd, input = '' }: RunOptions): Promise<string> {
  const [program = '', ...words] = argv;
  signal.throwIfAborted();
  // A group of its own, so that all of a pipeline can be ended.
  const child = spawn(program, words, { detached: true, env: { ...process.env, ...env }, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  const stop = () => void (child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'));
  signal.addEventListener('abort', stop, { once: true });
  let printed = '';
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stdin.on('error', () => {}); // it doesn't read
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      signal.removeEventListener('abort', stop);
      if (code === 0) resolve(printed);
      else reject(new Error(`${argv.join(' ').slice(0, 300)} ended with ${code ?? killedBy}: ${said.slice(-2000)}`));
    });
  });
}

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** For its standard input. */
  readonly input?: string;
}
