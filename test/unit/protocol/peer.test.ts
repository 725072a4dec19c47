import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PeerClosedError, windowBytes } from '../../../src/protocol/call-state.ts';
import { encodeBlockHeader, encodeJson, FrameError } from '../../../src/protocol/frame.ts';
import { type Call, type CallHandler, Peer } from '../../../src/protocol/peer.ts';

const block = (call: number, offset: number, bytes: Uint8Array) => Buffer.concat([encodeBlockHeader(call, offset, bytes, crc32), bytes]);

/** Two peers joined as by a socket: bytes arrive later, in order, cut anywhere. */
function joined(answer: CallHandler, pieceBytes = 1000) {
  const errors: unknown[] = [];
  const pipe = (to: () => Peer) => {
    let last = Promise.resolve();
    return (...parts: readonly Uint8Array[]): Promise<void> => {
      const copy = new Uint8Array(Buffer.concat(parts));
      last = last.then(async () => {
        for (let at = 0; at < copy.length; at += pieceBytes) await to().feed(copy.subarray(at, at + pieceBytes));
      });
      last.catch((error: unknown) => errors.push(error));
      return last;
    };
  };
  const laptop: Peer = new Peer(
    pipe(() => runner),
    null,
    crc32,
  );
  const runner: Peer = new Peer(
    pipe(() => laptop),
    answer,
    crc32,
  );
  return { laptop, runner, errors };
}

const turns = async (count = 50) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** Sends back every part that comes. */
const echo = async (call: Call) => {
  let parts = 0;
  for await (const part of call.parts()) {
    parts++;
    if (part.kind === 'event') await call.event(part.value);
    else await call.block(part.block.offset, part.block.bytes);
  }
  return { op: call.op, params: call.params, parts };
};

describe('calls', () => {
  test('any number at once, each with its own parts in order', async () => {
    const part = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.uint8Array({ maxLength: 3000 }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(part, { maxLength: 8 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 5000 }),
        async (calls, pieceBytes) => {
          const { laptop, errors } = joined(echo, pieceBytes);
          await Promise.all(
            calls.map(async (parts, index) => {
              const call = laptop.open('echo', { index });
              for (const [offset, sent] of parts.entries()) await (sent instanceof Uint8Array ? call.block(offset, sent) : call.event(sent));
              await call.end();
              const back: unknown[] = [];
              for await (const got of call.parts()) back.push(got.kind === 'event' ? got.value : got.block.bytes);
              expect(back).toEqual(parts.map((sent) => (sent instanceof Uint8Array ? sent : JSON.parse(JSON.stringify(sent)))));
              expect(await call.result).toEqual({ op: 'echo', params: { index }, parts: parts.length });
            }),
          );
          expect(errors).toEqual([]);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('long data is cut into blocks with the right offsets; an empty block arrives as one', async () => {
    const { laptop } = joined(async (call) => {
      await call.block(1000, new Uint8Array(600_000).fill(3));
      await call.block(7, new Uint8Array(0));
      return {};
    });
    const offsets: [number, number][] = [];
    for await (const part of laptop.open('read', {}).parts()) if (part.kind === 'block') offsets.push([part.block.offset, part.block.bytes.length]);
    expect(offsets).toEqual([
      [1000, 262_144],
      [263_144, 262_144],
      [525_288, 75_712],
      [7, 0],
    ]);
  });

  test('an error keeps its code and message; one without a code is internal', async () => {
    const { laptop } = joined(async (call) => {
      throw call.op === 'coded' ? Object.assign(new Error('no such job'), { code: 'not-found' }) : new TypeError('oops');
    });
    await expect(laptop.open('coded', {}).result).rejects.toMatchObject({ name: 'RemoteError', code: 'not-found', message: 'no such job' });
    await expect(laptop.open('plain', {}).result).rejects.toMatchObject({ code: 'internal', message: 'oops' });
  });

  test('an answer that is too long to send is an error, not silence', async () => {
    const { laptop } = joined(async () => 'x'.repeat(9_000_000), 65_536);
    await expect(laptop.open('long', {}).result).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('longer') });
  });

  test('parameters that are too long to send fail the call', async () => {
    const { laptop } = joined(echo);
    await expect(laptop.open('long', 'x'.repeat(9_000_000)).result).rejects.toThrow(/longer/);
  });
});

describe('back-pressure', () => {
  test('a sender waits for the reader, and no call waits for another', async () => {
    let sent = 0;
    const total = 64;
    const { laptop } = joined(async (call) => {
      if (call.op === 'quick') return 'here';
      for (; sent < total; sent++) await call.block(sent * 262_144, new Uint8Array(262_144));
      return {};
    }, 65_536);
    const slow = laptop.open('slow', {});
    await turns(200);
    expect(sent * 262_144).toBeLessThanOrEqual(windowBytes);
    expect(sent).toBeGreaterThan(4);
    // The slow call's window is full, and still the other one is answered.
    expect(await laptop.open('quick', {}).result).toBe('here');
    expect(sent).toBeLessThan(total);
    let read = 0;
    for await (const _ of slow.parts()) read++;
    expect(read).toBe(total);
  });

  test('a reader that leaves early lets the sender finish', async () => {
    const { laptop } = joined(async (call) => {
      for (let i = 0; i < 40; i++) await call.block(i, new Uint8Array(262_144));
      return 'sent all';
    }, 65_536);
    const call = laptop.open('read', {});
    for await (const _ of call.parts()) break;
    expect(await call.result).toBe('sent all');
  });

  test('an answer that comes before all was read unblocks the opener', async () => {
    const { laptop } = joined(async () => 'enough', 65_536);
    const call = laptop.open('write', {});
    const sending = (async () => {
      for (let i = 0; ; i++) await call.block(i, new Uint8Array(262_144));
    })();
    await expect(sending).rejects.toThrow(PeerClosedError);
    expect(await call.result).toBe('enough');
  });

  test('a block for at once is sent before the call returns, from a copy, behind what waits not at all', async () => {
    const refused: boolean[] = [];
    const { laptop } = joined(async (call) => {
      const bytes = new Uint8Array([1, 2, 3]);
      refused.push(!call.blockNow(0, bytes));
      bytes.fill(9);
      const waiting = Promise.all([call.event('x'.repeat(windowBytes)), call.event('after')]); // the second waits for room
      refused.push(!call.blockNow(3, bytes));
      await waiting;
      refused.push(!call.blockNow(3, bytes));
      return {};
    }, 262_144);
    const got: unknown[] = [];
    const call = laptop.open('read', {});
    for await (const part of call.parts()) got.push(part.kind === 'event' ? (part.value as string).length : [part.block.offset, ...part.block.bytes]);
    expect(got).toEqual([[0, 1, 2, 3], windowBytes, 5, [3, 9, 9, 9]]);
    expect(refused).toEqual([false, true, false]);
  });

  test('a block is offered at once to whoever waits for the next part, and never past parts that are unread', async () => {
    const { laptop } = joined(async (call) => {
      for (let i = 0; i < 40; i++) {
        await call.block(i, new Uint8Array(262_144));
        if (i % 3 === 0) await call.event(i);
        if (i % 2 === 0) await turns(2);
      }
      return {};
    }, 65_536);
    const call = laptop.open('read', {});
    const order: unknown[] = [];
    let taken = 0;
    call.onBlock(({ offset }) => {
      if (offset % 5 === 0) return false;
      taken += 1;
      order.push(offset);
      return true;
    });
    for await (const part of call.parts()) order.push(part.kind === 'block' ? part.block.offset : `event ${part.value}`);
    expect(order).toEqual(Array.from({ length: 40 }, (_, i) => (i % 3 === 0 ? [i, `event ${i}`] : [i])).flat());
    expect(taken).toBeGreaterThan(0);
  });

  test('what comes behind a message that makes no sense is not taken', async () => {
    const peer = new Peer(async () => {}, null, crc32);
    const call = peer.open('read', {});
    await expect(peer.feed(encodeJson({ id: 1, nothing: true }, crc32))).rejects.toThrow(FrameError);
    await expect(peer.feed(encodeJson({ id: 1, result: 'yes' }, crc32))).rejects.toThrow(FrameError);
    peer.close(new PeerClosedError('over'));
    await expect(call.result).rejects.toThrow('over');
  });

  test('events that nobody awaited keep their order, large ones among small ones', async () => {
    const { laptop } = joined(async (call) => {
      const sizes = [3_000_000, 3_000_000, 10, 6_000_000, 20, 3_000_000, 30];
      await Promise.all(sizes.map((size, n) => call.event({ n, text: 'x'.repeat(size) })));
      return {};
    }, 262_144);
    const order: unknown[] = [];
    for await (const part of laptop.open('read', {}).parts()) if (part.kind === 'event') order.push((part.value as { n: number }).n);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test('a peer that ignores the window, or acknowledges what was never sent, is cut off', async () => {
    const peer = new Peer(async () => {}, null, crc32);
    peer.open('read', {});
    const flood = async () => {
      for (let i = 0; i < 40; i++) await peer.feed(block(1, 0, new Uint8Array(262_144)));
    };
    await expect(flood()).rejects.toThrow(FrameError);
    for (const ack of [1, 'all']) {
      const other = new Peer(async () => {}, null, crc32);
      other.open('read', {});
      await expect(other.feed(encodeJson({ id: 1, ack }, crc32))).rejects.toThrow(FrameError);
    }
  });
});

describe('ends', () => {
  test('cancel aborts the answering side, and the opener is free at once', async () => {
    const { promise: aborted, resolve } = Promise.withResolvers<unknown>();
    const { laptop } = joined(async (call) => {
      await new Promise<void>((done) => call.signal.addEventListener('abort', () => done()));
      resolve(call.signal.reason);
      await expect(call.event('too late')).rejects.toThrow(PeerClosedError);
      return {};
    });
    const call = laptop.open('wait', {});
    await turns();
    call.cancel();
    await expect(call.result).rejects.toThrow(PeerClosedError);
    expect(await aborted).toBeInstanceOf(PeerClosedError);
  });

  test('close fails every open call at both ends, after what had arrived was read', async () => {
    let signal: AbortSignal | undefined;
    const { laptop, runner } = joined(async (call) => {
      signal = call.signal;
      await call.event('first');
      await new Promise(() => {});
      return {};
    });
    const call = laptop.open('wait', {});
    await turns();
    const reason = new PeerClosedError('the connection ended');
    laptop.close(reason);
    runner.close(reason);
    const seen: unknown[] = [];
    await expect(
      (async () => {
        for await (const part of call.parts()) seen.push(part);
      })(),
    ).rejects.toBe(reason);
    expect(seen).toEqual([{ kind: 'event', value: 'first' }]);
    await expect(call.result).rejects.toBe(reason);
    expect(signal?.aborted).toBe(true);
    await expect(laptop.open('late', {}).result).rejects.toBe(reason);
    await expect(call.block(0, new Uint8Array(1))).rejects.toBe(reason);
  });

  test.each([
    ['no object', 1],
    ['no id', { op: 'x' }],
    ['an id that is no whole number', { id: 1.5, op: 'x' }],
    ['a call where none is answered', { id: 1, op: 'x' }],
  ])('a message with %s breaks the connection', async (_, message) => {
    await expect(new Peer(async () => {}, null, crc32).feed(encodeJson(message, crc32))).rejects.toThrow(FrameError);
  });

  test('messages for calls that have ended are ignored', async () => {
    const sent: Uint8Array[] = [];
    const peer = new Peer(async (bytes) => void sent.push(bytes), null, crc32);
    for (const message of [
      { id: 9, event: 1 },
      { id: 9, ack: 5 },
      { id: 9, result: 1 },
      { id: 9, cancel: true },
    ])
      await peer.feed(encodeJson(message, crc32));
    await peer.feed(block(9, 0, new Uint8Array(1)));
    expect(sent).toEqual([]);
    const call = peer.open('still works', {});
    await peer.feed(encodeJson({ id: 1, result: 'yes' }, crc32));
    expect(await call.result).toBe('yes');
  });
});
