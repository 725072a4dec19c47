/** One of the two streams that we write to. Nobody reading any more (`| head`, a closed terminal) is no error: what is written then is dropped. A full disk is one. */
import { fstatSync, writeSync } from 'node:fs';
import { systemErrorCode } from '../core/errors.ts';

/** What we use of `process.stdout` and `process.stderr`. */
export interface OutputStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly fd?: number;
  readonly writableLength?: number;
}

export interface Sink {
  /** Resolves when more may be written, so that a slow reader slows us down; never rejects. */
  write(data: string | Uint8Array): Promise<void>;
  /** Resolves when all that was written has left this process. */
  flush(): Promise<void>;
  readonly closed: Promise<void>;
  readonly isClosed: boolean;
  /** Why nothing can be written any more, where that is no reader who left: a full disk. */
  readonly failure: Error | null;
  readonly isTerminal: boolean;
  /** What is written is kept as it is: `> train.log`. */
  readonly isFile: boolean;
  columns(): number;
  /** Characters that fit on a line; endless where no terminal breaks them. */
  width(): number;
}

export function openSink(stream: OutputStream): Sink {
  let isClosed = false;
  let failure: Error | null = null;
  let isFile: boolean | null = null;
  const closed = new Promise<void>((resolve) => {
    stream.on('error', (error) => {
      if (!isClosed && !readerLeft(error, stream)) failure = error;
      isClosed = true;
      resolve();
    });
  });
  const goesToFile = () => {
    isFile ??= typeof stream.fd === 'number' && fstatSync(stream.fd).isFile();
    return isFile;
  };
  const drained = () => new Promise<void>((resolve) => stream.once('drain', resolve));
  const columns = () => stream.columns || 80; // 0: a terminal that does not know its size
  return {
    write: async (data) => {
      if (isClosed) return;
      if (goesToFile()) writeWhole(stream, data);
      else {
        const rest = writeNow(stream, data);
        if (rest !== null && !stream.write(rest)) await Promise.race([drained(), closed]);
      }
    },
    flush: async () => {
      if (isClosed) return;
      // What was never written to is left alone: `/dev/full` refuses even nothing.
      if (stream.writableLength !== 0) await Promise.race([new Promise<void>((resolve) => stream.write('', () => resolve())), closed]);
      await new Promise(setImmediate); // a stream tells what failed behind its callbacks
    },
    closed,
    get isClosed() {
      return isClosed;
    },
    get failure() {
      return failure;
    },
    isTerminal: stream.isTTY === true,
    get isFile() {
      return goesToFile();
    },
    columns,
    width: () => (stream.isTTY === true ? columns() : Number.POSITIVE_INFINITY),
  };
}

/** So many bytes fit into any pipe or terminal that is not full. */
const littleBytes = 4096;

/** What is little, such as a line of a log, leaves at once: a stream's way takes it three times as long. Returns what the stream has to wait with; null: nothing. */
function writeNow({ fd, writableLength }: OutputStream, data: string | Uint8Array): string | Uint8Array | null {
  if (fd === undefined || writableLength !== 0 || data.length === 0 || data.length > littleBytes) return data;
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  try {
    const written = writeSync(fd, bytes);
    return written < bytes.length ? bytes.subarray(written) : null;
  } catch {
    return bytes; // nobody reads now, or any more: the stream waits, or tells
  }
}

/** Node's own stream for a file takes a write that a nearly full disk cut short for a whole one (24.21). */
function writeWhole(stream: OutputStream, data: string | Uint8Array): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(stream.fd as number, bytes, at);
  } catch (error) {
    stream.emit('error', error); // heard by all that write to it
  }
}

/** A pipe without a reader, a terminal that was closed. */
function readerLeft(error: Error, { isTTY }: OutputStream): boolean {
  const code = systemErrorCode(error);
  return isTTY === true || code === undefined || code === 'EPIPE' || code === 'ECONNRESET' || code.startsWith('ERR_STREAM_');
}
