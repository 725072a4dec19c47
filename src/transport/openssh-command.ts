/** One command through the system's `ssh`. May import core and this folder. */
import type { ChildProcess, ChildProcessByStdio } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Readable, Transform, type Writable } from 'node:stream';
import { GpuRunError } from '../core/errors.ts';
import type { StartedCommand } from './connector.ts';
import { statusFromShell } from './exit-status.ts';
import { quoteArgv } from './quote.ts';
import type { ExitStatus } from './transport.ts';

export type PipedSsh = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * `ssh` ends with 255 for its own failures, for a command's exit code 255, and for a command's death by signal alike. So a shell
 * stays beside the command: it turns a signal into 128+N, and says by the mark (in $1) on stderr that a 255 is the command's own.
 * Its own stderr is closed meanwhile, since shells comment on signals. Before the command it sets no variable: one that is in the
 * environment already would change for the command.
 */
const reporting = `
exec 3>&2 2> /dev/null
(shift; exec "$@" 2>&3 3>&-)
code=$?
if [ "$code" = 255 ]; then printf %s "$1" >&3; fi
exit "$code"
`;

export interface ReportingCommand {
  readonly line: string;
  readonly mark: string;
}

export function reportingCommand(argv: readonly string[]): ReportingCommand {
  quoteArgv(argv); // refuses what can't be run
  const mark = `gpu-run-255-${randomBytes(16).toString('hex')}`;
  return { mark, line: quoteArgv(['sh', '-c', reporting, 'sh', mark, ...argv]) };
}

/** `explain`: why no exit status came. */
export function opensshCommand(child: PipedSsh, mark: string, explain: () => Promise<GpuRunError>): StartedCommand {
  const filter = markFilter(mark);
  child.stdin.on('error', () => {}); // the command doesn't read on
  child.stderr.pipe(filter.stream);
  let killed = false;
  const exit = exitCode(child).then(async (code): Promise<ExitStatus> => {
    if (code === 255 && filter.seen()) return { code, signal: null };
    if (code !== null && code !== 255) return statusFromShell(code);
    throw killed ? new GpuRunError('interrupted', 'The command was cut off before its end.') : await explain();
  });
  exit.catch(() => {}); // whoever started the command asks later
  const kill = () => {
    killed = true;
    // The connection's process holds the other ends. It has to see them close before its client is gone, else it may notice neither
    // until its next keepalive.
    const streams = [child.stdin, child.stdout, child.stderr];
    for (const stream of streams) stream.destroy();
    void Promise.all(streams.map(closed)).then(() => child.kill());
    filter.stream.end();
  };
  return { stdin: child.stdin, stdout: child.stdout, stderr: filter.stream, exit, kill };
}

async function closed(stream: Readable | Writable): Promise<void> {
  if (!stream.closed) await once(stream, 'close');
}

/** null: killed by a signal, or never started. Resolves after the last byte of output. */
export function exitCode(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('close', (code) => resolve(code));
    child.once('error', () => resolve(null));
  });
}

/** Takes the mark out of a stream, wherever its bytes are cut; all other bytes go on at once, but for what may begin a mark. */
export function markFilter(mark: string): { readonly stream: Transform; seen(): boolean } {
  const wanted = Buffer.from(mark, 'latin1');
  let held: Buffer = Buffer.alloc(0);
  let seen = false;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const at = bytes.indexOf(wanted);
      if (at >= 0) {
        seen = true;
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + wanted.length)]);
      }
      const keep = seen ? 0 : beginningAtEnd(bytes, wanted);
      held = bytes.subarray(bytes.length - keep);
      if (bytes.length > keep) this.push(bytes.subarray(0, bytes.length - keep));
      done();
    },
    flush(done) {
      if (held.length > 0) this.push(held);
      done();
    },
  });
  return { stream, seen: () => seen };
}

/** How many bytes at the end of `bytes` may be the beginning of `wanted`. */
function beginningAtEnd(bytes: Buffer, wanted: Buffer): number {
  for (let length = Math.min(wanted.length - 1, bytes.length); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(wanted.subarray(0, length))) return length;
  }
  return 0;
}
