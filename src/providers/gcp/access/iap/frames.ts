/**
 * The frames of Google's TCP relay (Identity-Aware Proxy), one a WebSocket message, numbers big-endian.
 * Source: the client in gcloud 528 (Apache-2.0), which is the only description of it. Pure.
 */
import { GpuRunError } from '../../../../core/errors.ts';

/** The most bytes that one DATA frame may carry. */
export const largestData = 16_384;

const tags = { connected: 0x0001, reconnected: 0x0002, data: 0x0004, ack: 0x0007 } as const;

export type Frame =
  /** The first frame of a new tunnel. `sid` names it when it is taken up again. */
  | { readonly kind: 'connected'; readonly sid: string }
  /** The first frame of a tunnel that was taken up again. `received`: bytes that the relay has of ours, in all. */
  | { readonly kind: 'reconnected'; readonly received: bigint }
  | { readonly kind: 'data'; readonly bytes: Buffer }
  /** Bytes that the other side has, in all. */
  | { readonly kind: 'ack'; readonly received: bigint }
  /** Of a later version of the protocol: to be passed over. */
  | { readonly kind: 'unknown'; readonly tag: number };

export function encodeFrame(frame: Exclude<Frame, { kind: 'unknown' }>): Buffer {
  if (frame.kind === 'connected') return withBytes(tags.connected, Buffer.from(frame.sid, 'latin1'));
  if (frame.kind === 'data') return withBytes(tags.data, frame.bytes);
  const message = Buffer.allocUnsafe(10);
  message.writeUInt16BE(frame.kind === 'ack' ? tags.ack : tags.reconnected);
  message.writeBigUInt64BE(frame.received, 2);
  return message;
}

/** What follows a frame within its message is passed over, as gcloud does. @throws GpuRunError `protocol` for a message that is cut off */
export function decodeFrame(message: Buffer): Frame {
  if (message.length < 2) throw cutOff();
  const tag = message.readUInt16BE(0);
  if (tag === tags.connected) {
    const sid = bytesOf(message).toString('latin1');
    // It becomes part of an address.
    if (!/^[\x21-\x7e]{1,4096}$/.test(sid)) throw new GpuRunError('protocol', "Google's relay gave the tunnel a name that can't be one.");
    return { kind: 'connected', sid };
  }
  if (tag === tags.data) return { kind: 'data', bytes: bytesOf(message) };
  if (tag !== tags.ack && tag !== tags.reconnected) return { kind: 'unknown', tag };
  if (message.length < 10) throw cutOff();
  return { kind: tag === tags.ack ? 'ack' : 'reconnected', received: message.readBigUInt64BE(2) };
}

function withBytes(tag: number, bytes: Buffer): Buffer {
  const message = Buffer.allocUnsafe(6 + bytes.length);
  message.writeUInt16BE(tag);
  message.writeUInt32BE(bytes.length, 2);
  bytes.copy(message, 6);
  return message;
}

function bytesOf(message: Buffer): Buffer {
  if (message.length < 6 || message.length - 6 < message.readUInt32BE(2)) throw cutOff();
  return message.subarray(6, 6 + message.readUInt32BE(2));
}

function cutOff(): GpuRunError {
  return new GpuRunError('protocol', "Google's relay sent a frame that is cut off.", { retry: 'same' });
}
