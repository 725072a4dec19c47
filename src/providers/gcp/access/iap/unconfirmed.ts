/** What was sent and may have to be sent again: the bytes that the relay has not confirmed yet. */
import { GpuRunError } from '../../../../core/errors.ts';

export interface Unconfirmed {
  /** Bytes. */
  readonly size: number;
  add(chunk: Buffer): void;
  /** `received`: bytes that the relay has in all. @throws GpuRunError `protocol` for more than was sent, or less than was confirmed before */
  confirm(received: bigint): void;
  /** In the order in which they were sent. */
  chunks(): readonly Buffer[];
}

export function createUnconfirmed(): Unconfirmed {
  let waiting: Buffer[] = [];
  let size = 0;
  let confirmed = 0n;
  return {
    get size() {
      return size;
    },
    add(chunk) {
      waiting.push(chunk);
      size += chunk.length;
    },
    confirm(received) {
      if (received < confirmed || received > confirmed + BigInt(size)) {
        throw new GpuRunError('protocol', "Google's relay confirms bytes that were not sent, or that it has confirmed already.", { retry: 'same' });
      }
      let rest = Number(received - confirmed);
      confirmed = received;
      size -= rest;
      let done = 0;
      for (const chunk of waiting) {
        if (chunk.length > rest) break;
        rest -= chunk.length;
        done += 1;
      }
      waiting = waiting.slice(done);
      const [first] = waiting;
      if (first !== undefined && rest > 0) waiting[0] = first.subarray(rest);
    },
    chunks: () => waiting,
  };
}
