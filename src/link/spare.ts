/** A runner that already waits on the machine when a command asks for one. May import core, protocol and the transport interface. */
import { crc32 } from 'node:zlib';
import { encodeJson } from '../protocol/frame.ts';
import { beatEveryMs } from '../protocol/peer.ts';
import { standbyWord } from '../protocol/standby.ts';
import type { StartedCommand } from '../transport/connector.ts';
import type { StandingRunner } from './messages.ts';

export interface SpareRunner {
  readonly runner: StandingRunner;
  /** The one that waits, for whoever would start just that; it is theirs then, and another one takes its place. null: nothing of the kind waits. */
  take(argv: readonly string[]): StartedCommand | null;
  close(): void;
}

/** One that ends by itself at once is not started again and again. */
const mostFailures = 3;

export type Start = (argv: readonly string[], signal: AbortSignal) => Promise<StartedCommand>;

/**
 * Starts one; `start` as a connector has it. While it waits it is nobody at the machine. None is started once the machine `isOver`: it
 * would make the machine's folder again, behind the command that has just removed it from a borrowed host.
 */
export function keepSpare(runner: StandingRunner, start: Start, isOver: () => boolean): SpareRunner {
  const words = [...runner.argv, 'connect', '--root', runner.root];
  const closing = new AbortController();
  let waiting: StartedCommand | null = null;
  let failures = 0;
  const fill = async () => {
    if (closing.signal.aborted || failures >= mostFailures || isOver()) return;
    const started = await start([...words, standbyWord], closing.signal);
    if (closing.signal.aborted) return started.kill('SIGTERM');
    started.stdin.on('error', () => {}); // its end says so
    waiting = started;
    const gone = () => {
      if (waiting !== started) return; // somebody has it
      waiting = null;
      failures += 1;
      void fill().catch(() => {});
    };
    started.exit.then(gone, gone);
  };
  void fill().catch(() => {});
  const beat = setInterval(() => waiting?.stdin.write(encodeJson({ id: 0, beat: true }, crc32)), beatEveryMs);
  beat.unref();
  return {
    runner,
    take: (argv) => {
      if (argv.length !== words.length || argv.some((word, index) => word !== words[index])) return null;
      const taken = waiting;
      waiting = null;
      if (taken !== null) void fill().catch(() => {});
      return taken;
    },
    close: () => {
      closing.abort();
      clearInterval(beat);
      waiting?.kill('SIGTERM');
    },
  };
}
