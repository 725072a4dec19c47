/**
 * One file's content over an open call, the same in both directions. Imports its own folder only; the two ends bring their own disks.
 */
import { FrameError } from './frame.ts';
import type { Call, Part } from './peer.ts';
import { parseFileSay } from './sync-parse.ts';

/** A file opened for reading from its start to the size it had then. */
export interface ContentSource {
  /** Changes whenever the file may have changed. */
  stamp(): string;
  /** The next bytes; null at the end. */
  read(): Uint8Array | null;
  /** Of everything that was read. */
  sha256(): string;
  close(): void;
}

export interface ContentSink {
  write(bytes: Uint8Array): void;
  /** Forgets what was written. */
  restart(): void;
  /** Of everything that was written. */
  sha256(): string;
}

export interface Content {
  readonly size: number;
  readonly sha256: string;
  /** It changed each time while it was read: parts may be of different ages. */
  readonly torn: boolean;
}

const attempts = 3;

/** Sends a file as it is now. `open` gives null, and so does this, when it isn't there any more. `onBytes` counts what travels. */
export async function sendContent(
  call: Pick<Call, 'event' | 'block'>,
  index: number,
  open: () => ContentSource | null,
  onBytes: (bytes: number) => void = () => {},
): Promise<Content | null> {
  for (let attempt = 1; ; attempt += 1) {
    const source = open();
    if (source === null) {
      await call.event({ type: 'gone', index });
      return null;
    }
    try {
      const before = source.stamp();
      let size = 0;
      for (let bytes = source.read(); bytes !== null; bytes = source.read()) {
        await call.block(size, bytes);
        size += bytes.length;
        onBytes(bytes.length);
      }
      const torn = source.stamp() !== before;
      if (!torn || attempt === attempts) {
        const content = { size, sha256: source.sha256(), torn };
        await call.event({ type: 'file', index, ...content });
        return content;
      }
    } finally {
      source.close();
    }
    await call.event({ type: 'again', index });
  }
}

/**
 * Takes in the file that is due, and verifies it.
 * @param most bytes; nothing beyond them is written
 * @throws FrameError when something else, something damaged or more than `most` arrives
 */
export async function receiveContent(
  parts: AsyncIterator<Part>,
  index: number,
  sink: ContentSink,
  most: number = Number.POSITIVE_INFINITY,
): Promise<Content | 'gone' | 'same'> {
  let size = 0;
  for (;;) {
    const { value: part, done } = await parts.next();
    if (done === true) throw new FrameError('the call ended in the middle of a file');
    if (part.kind === 'block') {
      if (part.block.offset !== size) throw new FrameError('a block came that is not the next one of its file');
      size += part.block.bytes.length;
      if (size > most) throw new FrameError(`a file came that is longer than ${most} bytes, far more than was announced`);
      sink.write(part.block.bytes);
      continue;
    }
    const say = parseFileSay(part.value);
    if (say.index !== index) throw new FrameError('another file came than the one that is due');
    if (say.type === 'again') {
      sink.restart();
      size = 0;
      continue;
    }
    if (say.type !== 'file') return say.type;
    const sha256 = sink.sha256();
    if (say.size !== size || say.sha256 !== sha256) throw new FrameError('a file arrived damaged: its size or SHA-256 is not what was announced');
    return { size, sha256, torn: say.torn };
  }
}
