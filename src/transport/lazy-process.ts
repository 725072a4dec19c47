/**
 * A `RemoteProcess` that exists before its command does: the connection may still have to be made. What is written meanwhile waits.
 * May import core and this folder.
 */
import { Readable, Writable } from 'node:stream';
import { GpuRunError } from '../core/errors.ts';
import type { StartedCommand } from './connector.ts';
import type { ExitStatus, RemoteProcess } from './transport.ts';

type Start = (signal: AbortSignal) => Promise<StartedCommand>;

export function lazyProcess(start: Start, callerSignal?: AbortSignal): RemoteProcess {
  const stop = new AbortController();
  const interrupted = Promise.withResolvers<never>();
  const abort = () => {
    interrupted.reject(new GpuRunError('interrupted', 'The command was interrupted.', { cause: callerSignal?.reason }));
    stop.abort();
  };
  const startup = callerSignal?.aborted ? interrupted.promise : start(stop.signal);
  const command = startup.then(
    (started) => started,
    () => null,
  );
  const stdin = bridgeWritable(command.then((started) => started?.stdin ?? null));
  const stdout = bridgeReadable(command.then((started) => started?.stdout ?? null));
  const stderr = bridgeReadable(command.then((started) => started?.stderr ?? null));

  const kill = (signal: NodeJS.Signals) => {
    stop.abort(); // not started yet: then it never starts
    void command.then((started) => {
      started?.kill(signal);
      stdout.discard();
      stderr.discard();
    });
  };
  const onAbort = () => {
    abort();
    kill('SIGTERM');
  };
  if (callerSignal?.aborted) abort();
  else callerSignal?.addEventListener('abort', onAbort, { once: true });

  const exit = Promise.race([statusAfterOutput(startup, [stdout.ended, stderr.ended]), interrupted.promise]).finally(() => {
    callerSignal?.removeEventListener('abort', onAbort);
    stdin.destroy();
  });
  exit.catch(() => {}); // a caller that doesn't ask for the status must not crash over it
  return { stdin, stdout: stdout.stream, stderr: stderr.stream, exit, kill: (signal = 'SIGTERM') => kill(signal) };
}

async function statusAfterOutput(startup: Promise<StartedCommand>, outputs: Promise<void>[]): Promise<ExitStatus> {
  const status = await (await startup).exit;
  await Promise.all(outputs);
  return status;
}

/** Writes after the command's end are dropped: a command may leave its input unread. */
function bridgeWritable(target: Promise<Writable | null>): Writable {
  let to: Writable | null = null;
  return new Writable({
    construct(done) {
      void target.then((stream) => {
        to = stream;
        to?.on('error', () => {}); // said by the exit status
        done();
      });
    },
    write(chunk: Buffer, _encoding, done) {
      if (to === null || to.destroyed || to.writableEnded) done();
      else to.write(chunk, () => done());
    },
    final(done) {
      to?.end();
      done();
    },
    destroy(error, done) {
      to?.end();
      done(error);
    },
  });
}

interface ReadableBridge {
  readonly stream: Readable;
  /** Resolves when the source has ended and the last byte was read from `stream`, or nobody wants it any more. */
  readonly ended: Promise<void>;
  /** Ends `stream` behind what it holds now; the source's rest is dropped. */
  discard(): void;
}

function bridgeReadable(source: Promise<Readable | null>): ReadableBridge {
  const ended = Promise.withResolvers<void>();
  let from: Readable | null = null;
  const take = (chunk: Buffer) => {
    if (!stream.push(chunk)) from?.pause();
  };
  const drop = () => {
    from?.off('data', take);
    from?.resume();
  };
  const finish = () => {
    stream.push(null);
    if (stream.readableLength === 0) ended.resolve();
  };
  const stream = new Readable({
    construct(done) {
      void source.then((opened) => {
        from = opened;
        done();
        if (from === null) return finish();
        from.on('data', take);
        from.once('end', finish);
        from.once('close', finish);
        from.on('error', finish); // said by the exit status
      });
    },
    read() {
      from?.resume();
    },
    destroy(error, done) {
      drop(); // the command goes on
      done(error);
    },
  });
  stream.once('close', ended.resolve);
  const discard = () => {
    drop();
    stream.push(null);
    ended.resolve();
  };
  return { stream, ended: ended.promise, discard };
}
