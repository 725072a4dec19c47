/** This computer's rsync, started for one transfer over the user's own `ssh`. May import core and `node:`. */
import { execFile, spawn } from 'node:child_process';
import { GpuRunError } from '../core/errors.ts';

export interface RsyncRun {
  /** Behind the options that all have. */
  readonly argv: readonly string[];
  readonly input: Buffer | null;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What a version of rsync says of itself first. Older ones, and others of that name (macOS has one), don't know all that is needed here. */
export function isFitRsync(said: string): boolean {
  return Number(/^rsync\s+version (\d+)\.\d+/.exec(said)?.[1] ?? 0) >= 3;
}

/** Whether this computer has one that is fit. */
export async function hasRsync(): Promise<boolean> {
  if (process.platform === 'win32') return false;
  return await new Promise((resolve) => {
    execFile('rsync', ['--version'], (error, stdout) => resolve(error === null && isFitRsync(stdout)));
  });
}

/** What the user's environment says of rsync is for calls by hand. */
const plainEnv = ['env', '-u', 'RSYNC_RSH', '-u', 'RSYNC_PROTECT_ARGS', '-u', 'RSYNC_OLD_ARGS', '-u', 'RSYNC_PARTIAL_DIR', 'LC_ALL=C', 'TZ=UTC'];

/** Files that vanished meanwhile: whoever listed them sees it. */
const vanished = 24;
const mostSaid = 4_000;

/** `ssh`: its argument vector, without the host. @throws GpuRunError `sync`, `disk-full`, `connection`, `interrupted`; resolves to the exit code, 0 or 24 */
export async function runRsync(ssh: readonly string[], { argv, input, onLine, signal }: RsyncRun): Promise<number> {
  const [program, ...words] = [...plainEnv, 'rsync', '-s', '-e', ssh.map(rshWord).join(' '), ...argv] as [string, ...string[]];
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  const stop = () => void child.kill();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  child.stdin.on('error', () => {}); // its exit says why
  child.stdin.end(input ?? undefined);
  let said = '';
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    said = `${said}${text}`.slice(-mostSaid);
  });
  let rest = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
    child.once('error', () => resolve(null));
  });
  signal.removeEventListener('abort', stop);
  if (code === 0 || code === vanished) return code;
  if (signal.aborted) throw new GpuRunError('interrupted', 'Interrupted while syncing; the next sync goes on from there.', { cause: signal.reason });
  throw failureOf(code, said.trim());
}

/** rsync cuts the command of `-e` at spaces itself, and knows quotes, in which a doubled one stands for itself. No shell sees it. */
export function rshWord(word: string): string {
  return `'${word.replaceAll("'", "''")}'`;
}

/** https://download.samba.org/pub/rsync/rsync.1#EXIT_VALUES */
const connectionCodes: readonly (number | null)[] = [5, 10, 12, 30, 35, 255];

function failureOf(code: number | null, said: string): GpuRunError {
  const why = said.split('\n').find((line) => /rsync: |: /.test(line)) ?? `exit code ${code}`;
  if (/No space left|quota exceeded/i.test(said))
    return new GpuRunError('disk-full', `A disk (or quota) became full: ${why}`, { hints: ['Free space on the machine, or here for a pull.'] });
  if (connectionCodes.includes(code))
    return new GpuRunError('connection', `The connection ended while rsync was at work: ${why}`, {
      hints: ['Run the command again: it goes on from there.'],
      retry: 'same',
    });
  return new GpuRunError('sync', `rsync failed: ${why}`, { hints: ['What could be brought there is there; the next sync goes on from that.'] });
}
