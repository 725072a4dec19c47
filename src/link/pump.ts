/** From a stream to somewhere that may be slow. May import `node:` only. */
import type { Readable } from 'node:stream';

/** So many bytes may be on their way. */
const mostPending = 1024 * 1024;

/** Resolves when the stream is over and all of it was taken, or nobody takes it any more. Never destroys the stream: its other half may live on. */
export function pump(from: Readable, take: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    let pending = 0;
    let over = from.destroyed || from.readableEnded;
    const settle = () => {
      if (over && pending === 0) resolve();
    };
    const finish = () => {
      over = true;
      settle();
    };
    from.on('data', (bytes: Uint8Array) => {
      pending += bytes.length;
      if (pending > mostPending) from.pause();
      take(bytes)
        .catch(finish)
        .finally(() => {
          pending -= bytes.length;
          if (pending <= mostPending) from.resume();
          settle();
        });
    });
    from.once('end', finish);
    from.once('close', finish);
    from.once('error', finish);
    settle();
  });
}
