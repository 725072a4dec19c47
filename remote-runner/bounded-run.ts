/** A program that is given a time and no more: one that hangs in a broken driver can't even be killed, and must not hang us. */
import { spawn } from 'node:child_process';

export type BoundedEnd =
  | { readonly kind: 'ended'; readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'not-started'; readonly problem: string }
  | { readonly kind: 'timed-out' };

export interface BoundedRun {
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds. */
  readonly withinMs: number;
  /** Written to its stdin. */
  readonly input?: string;
}

const keptBytes = 64 * 1024;

/** Never rejects. Resolves when it has ended, and at the end of its time whether it has ended or not. */
export function boundedRun(program: string, args: readonly string[], { env, withinMs, input = '' }: BoundedRun): Promise<BoundedEnd> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    const stdout = keep(child.stdout);
    const stderr = keep(child.stderr);
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      for (const stream of child.stdio) stream?.destroy();
      child.unref();
      resolve({ kind: 'timed-out' });
    }, withinMs);
    const end = (how: BoundedEnd) => {
      clearTimeout(timer);
      resolve(how);
    };
    child.on('error', (error) => end('code' in error && error.code === 'ENOENT' ? { kind: 'not-found' } : { kind: 'not-started', problem: error.message }));
    child.on('close', (code, signal) => end({ kind: 'ended', code, signal, stdout: stdout(), stderr: stderr() }));
    child.stdin.on('error', () => {}); // it did not read it all; how it ended says more
    child.stdin.end(input);
  });
}

/** The beginning of what it says; the rest is read and thrown away. */
function keep(stream: NodeJS.ReadableStream): () => string {
  const pieces: Uint8Array[] = [];
  let size = 0;
  stream.on('error', () => {});
  stream.on('data', (chunk: Buffer) => {
    if (size < keptBytes) pieces.push(chunk.subarray(0, keptBytes - size));
    size += chunk.length;
  });
  return () => Buffer.concat(pieces).toString();
}
