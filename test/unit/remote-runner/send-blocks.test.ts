import { expect, it } from 'vitest';
import { blockSender } from '../../../remote-runner/send-blocks.ts';
import type { Call } from '../../../src/protocol/call-state.ts';
import { blockBytes } from '../../../src/protocol/frame.ts';

/** The blocks that it was given, as they were when they left. */
function wire() {
  const left: (readonly [number, string])[] = [];
  const call = { block: async (offset: number, bytes: Uint8Array) => void left.push([offset, Buffer.from(bytes).toString()]) } as unknown as Call;
  return { call, left };
}

it('sets whole blocks aside only for who is behind: a line that has just come needs no such room', async () => {
  const { call, left } = wire();
  const blocks = blockSender(call, undefined);
  for (let n = 0; n < 5; n += 1) {
    const block = await blocks.next(10);
    expect(block.length).toBeGreaterThanOrEqual(10);
    expect(block.buffer.byteLength).toBeLessThanOrEqual(blockBytes / 8);
    blocks.send(n * 10, block.subarray(0, block.write(`line ${n}\n`)));
  }
  await blocks.sent();
  expect(left).toEqual([0, 1, 2, 3, 4].map((n) => [n * 10, `line ${n}\n`]));
});

it('gives a whole block to who asks for more than that, and never the one that is on its way', async () => {
  const leaving: (() => void)[] = [];
  const call = { block: async () => await new Promise<void>((resolve) => void leaving.push(resolve)) } as unknown as Call;
  const blocks = blockSender(call, undefined);
  const small = await blocks.next(1);
  blocks.send(0, small.subarray(0, 1));
  const whole = await blocks.next(10 * blockBytes);
  expect(whole.length).toBe(blockBytes);
  expect(whole.buffer).not.toBe(small.buffer);
  blocks.send(1, whole);
  leaving[0]?.();
  const next = await blocks.next(blockBytes);
  expect(next.length).toBe(blockBytes);
  expect(next.buffer).not.toBe(whole.buffer);
});
