/** One of the two streams that we write to. Nobody reading any more (`| head`, a closed terminal) is no error: what is written then is dropped. */
import { fstatSync } from 'node:fs';

/** What we use of `process.stdout` and `process.stderr`. */
export interface OutputStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly fd?: number;
}

export interface Sink {
  /** Resolves when more may be written, so that a slow reader slows us down; never rejects. */
  write(data: string | Uint8Array): Promise<void>;
  /** Resolves when all that was written has left this process. */
  flush(): Promise<void>;
  readonly closed: Promise<void>;
  readonly isClosed: boolean;
  readonly isTerminal: boolean;
  /** What is written is kept as it is: `> train.log`. */
  readonly isFile: boolean;
  columns(): number;
  /** Characters that fit on a line; endless where no terminal breaks them. */
  width(): number;
}

export function openSink(stream: OutputStream): Sink {
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    stream.on('error', () => {
      isClosed = true;
      resolve();
    });
  });
  const drained = () => new Promise<void>((resolve) => stream.once('drain', resolve));
  const columns = () => stream.columns || 80; // 0: a terminal that does not know its size
  return {
    write: async (data) => {
      if (isClosed) return;
      if (!stream.write(data)) await Promise.race([drained(), closed]);
    },
    flush: async () => {
      if (isClosed) return;
      await Promise.race([new Promise<void>((resolve) => stream.write('', () => resolve())), closed]);
    },
    closed,
    get isClosed() {
      return isClosed;
    },
    isTerminal: stream.isTTY === true,
    get isFile() {
      return typeof stream.fd === 'number' && fstatSync(stream.fd).isFile();
    },
    columns,
    width: () => (stream.isTTY === true ? columns() : Number.POSITIVE_INFINITY),
  };
}
