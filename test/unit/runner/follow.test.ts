/** Following over connections that break, hang and lie: exact, patient, and with an end. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Clock } from '../../../src/core/clock.ts';
import { GpuRunError } from '../../../src/core/errors.ts';
import { PeerClosedError } from '../../../src/protocol/call-state.ts';
import { DamagedFrameError } from '../../../src/protocol/frame.ts';
import type { JobRecord } from '../../../src/protocol/job.ts';
import { type Call, type OpenCall, Peer } from '../../../src/protocol/peer.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { type FollowOptions, type FollowPart, followJob } from '../../../src/runner/follow.ts';

/** Time passes only when somebody sleeps, and then at once. */
function createClock(): Clock & { readonly slept: number[] } {
  let now = 0;
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    sleep: async (ms, signal) => {
      // Real work goes first: time that passes by itself must not outrun it.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      now += ms;
      slept.push(ms);
    },
  };
}

type Script = (call: Call, cut: () => void) => Promise<unknown>;

type Carry = (bytes: Uint8Array, deliver: (piece: Uint8Array) => Promise<void>) => Promise<void>;

/** A client whose other end does what the script says; `carry`: the line from there to here. */
function clientOf(script: Script, carry: Carry = (bytes, deliver) => deliver(bytes)): RunnerClient {
  const reason = new PeerClosedError('cut');
  const cut = () => {
    laptop.close(reason);
    runner.close(reason);
  };
  const laptop: Peer = new Peer((...parts) => runner.feed(Buffer.concat(parts)), null, crc32);
  const runner: Peer = new Peer(
    (...parts) => carry(Buffer.concat(parts), (piece) => laptop.feed(piece)),
    (call) => script(call, cut),
    crc32,
  );
  const map = (error: unknown) => Promise.reject(error instanceof PeerClosedError ? new GpuRunError('connection', error.message) : error);
  const open = (op: string, params: unknown): OpenCall => {
    const call = laptop.open(op, params);
    const result = call.result.catch(map);
    result.catch(() => {});
    async function* parts() {
      try {
        yield* call.parts();
      } catch (error) {
        await map(error);
      }
    }
    return {
      ...call,
      op,
      params,
      signal: call.signal,
      result,
      parts,
      cancel: () => call.cancel(),
      end: () => call.end(),
      event: (value) => call.event(value),
      block: (offset, bytes) => call.block(offset, bytes),
      onBlock: (take) => call.onBlock(take),
    };
  };
  return {
    version: 'fake',
    isWatched: true,
    over: new Promise(() => {}),
    open,
    call: () => Promise.reject(new Error('not used here')),
    close: async () => cut(),
  };
}

const bytes = (text: string) => Buffer.from(text);
const ended: JobRecord = { n: 3, t: 0, type: 'state', state: 'ended', logOffset: 10, end: { code: 0, signal: null, reason: 'exit', detail: null } };
const running: JobRecord = { n: 2, t: 0, type: 'state', state: 'running', logOffset: 0 };
const record = (value: JobRecord) => ({ type: 'records', records: [value] });

interface Outcome {
  readonly log: string;
  readonly records: number[];
  readonly links: string[];
  readonly asked: unknown[];
  readonly released: number;
  readonly slept: number[];
  readonly error: unknown;
}

async function run(
  connections: (Script | GpuRunError)[],
  more: Partial<FollowOptions> = {},
  onPart: (part: FollowPart) => unknown = () => {},
): Promise<Outcome> {
  const clock = createClock();
  const parts: FollowPart[] = [];
  const links: string[] = [];
  const asked: unknown[] = [];
  let released = 0;
  let error: unknown = null;
  const next = async () => {
    const connection = connections.length > 1 ? connections.shift() : connections[0];
    if (connection === undefined) throw new Error('one connection too many');
    if (connection instanceof GpuRunError) throw connection;
    return clientOf((call, cut) => {
      asked.push(call.params);
      return connection(call, cut);
    });
  };
  try {
    const options: FollowOptions = {
      connect: next,
      release: async () => {
        released += 1;
      },
      jobId: 'job-1',
      logOffset: 0,
      record: 0,
      follow: true,
      clock,
      signal: new AbortController().signal,
      onLink: (state) => links.push(state),
      random: () => 0.5,
      ...more,
    };
    for await (const part of followJob(options)) {
      parts.push(part);
      onPart(part);
    }
  } catch (thrown) {
    error = thrown;
  }
  const log = Buffer.concat(parts.flatMap((part) => (part.type === 'log' ? [part.bytes] : []))).toString();
  return { log, records: parts.flatMap((part) => (part.type === 'record' ? [part.record.n] : [])), links, asked, released, slept: clock.slept, error };
}

const cutAfter: Script = async (call, cut) => {
  await call.event(record(running));
  await call.block(0, bytes('01234'));
  await new Promise((resolve) => setImmediate(resolve));
  cut();
};

test('a cut connection goes on exactly where it was', async () => {
  const rest: Script = async (call) => {
    await call.block(5, bytes('56789'));
    await call.event(record(ended));
    return {};
  };
  const { log, records, links, asked, released, error } = await run([cutAfter, new GpuRunError('connection', 'no route'), rest]);
  expect(error).toBeNull();
  expect(log).toBe('0123456789');
  expect(records).toEqual([2, 3]);
  const packed = ['zstd', 'brotli'];
  expect(asked).toEqual([
    { id: 'job-1', logOffset: 0, errOffset: 0, record: 0, follow: true, packed },
    { id: 'job-1', logOffset: 5, errOffset: 0, record: 2, follow: true, proofs: { out: [{ from: 0, to: 5, crc: crc32('01234') }], err: [] }, packed },
  ]);
  expect(links).toEqual(['reconnecting', 'connected']);
  expect(released).toBe(2);
});

test.each<readonly [string, number, Script | null]>([
  ['where nothing was received', 0, null],
  ['behind what was received', 5, cutAfter],
  ['from what it has just sent', 0, cutAfter],
])('a runner that says that the log differs %s makes no sense', async (what, from, before) => {
  const lie: Script = async (call) => {
    if (what.startsWith('from')) await call.block(5, bytes('5'));
    await call.event({ type: 'differs', stream: 'out', from });
    await call.event(record(ended));
    return {};
  };
  const { error, log } = await run(before === null ? [lie] : [before, lie]);
  expect(error).toMatchObject({ code: 'protocol', message: expect.stringContaining('differs') });
  expect(log.slice(0, 5)).toBe(before === null ? '' : '01234');
});

test('pieces of the log that are taken at once, and those that are not, are the log in its order, also over a cut', async () => {
  const sent = '0123456789'.repeat(3);
  const send =
    (gap: boolean, until: number): Script =>
    async (call, cut) => {
      const { logOffset } = call.params as { logOffset: number };
      for (let at = logOffset; at < until; at += 1) {
        await call.block(at, bytes(sent.slice(at, at + 1)));
        if (gap) await new Promise((resolve) => setImmediate(resolve));
      }
      if (until < sent.length) return cut();
      await call.event(record(ended));
      return {};
    };
  const takes = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(takes, fc.boolean(), fc.integer({ min: 1, max: sent.length }), async (choices, gap, cutAt) => {
      const pieces: string[] = [];
      let taken = 0;
      const keep = (part: FollowPart) => part.type === 'log' && pieces.push(Buffer.from(part.bytes).toString());
      const takeLog = (part: FollowPart) => {
        if (choices[pieces.length % choices.length] !== true) return false;
        taken += 1;
        keep(part);
        return true;
      };
      const { error } = await run([send(gap, cutAt), send(gap, sent.length)], { takeLog }, keep);
      expect([error, pieces.join('')]).toEqual([null, sent]);
      if (gap && choices.every((choice) => choice)) expect(taken).toBeGreaterThan(0);
    }),
    { numRuns: 30 },
  );
});

test('a connection over which nothing comes but what is taken at once is one: that is told, and pauses begin anew', async () => {
  const some: Script = async (call, cut) => {
    const { logOffset } = call.params as { logOffset: number };
    await new Promise((resolve) => setImmediate(resolve));
    await call.block(logOffset, bytes('0123456789'));
    await new Promise((resolve) => setImmediate(resolve));
    if (logOffset < 50) return cut();
    await call.event(record(ended));
    return {};
  };
  const { slept, links } = await run([some], { takeLog: () => true });
  expect(slept.filter((ms) => ms < 1000)).toEqual([200, 200, 200, 200, 200]); // a second is the look for silence
  expect(links).toEqual(Array.from({ length: 5 }, () => ['reconnecting', 'connected']).flat());
});

test('a piece that is not the next one is not taken', async () => {
  const lie: Script = async (call) => {
    await new Promise((resolve) => setImmediate(resolve));
    await call.block(3, bytes('3'));
    return {};
  };
  const taken: unknown[] = [];
  const { error } = await run([lie], { takeLog: (part) => taken.push(part) > 0 });
  expect([error, taken]).toMatchObject([{ code: 'protocol', message: expect.stringContaining('byte 0 was next') }, []]);
});

test('pauses double up to ten seconds, and after ten minutes it gives up, saying how to go on', async () => {
  const { slept, error, links } = await run([new GpuRunError('connection', 'no route')]);
  expect(slept.slice(0, 8)).toEqual([200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  expect(Math.max(...slept)).toBe(10_000);
  expect(slept.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThanOrEqual(600_000);
  expect(slept.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(611_000);
  expect(error).toMatchObject({ code: 'connection', message: expect.stringContaining('no route'), hints: [expect.stringContaining('gpu-run logs job-1')] });
  expect(links).not.toContain('connected');
});

test('a connection that breaks after the end has been told is no failure', async () => {
  const { error, records } = await run([
    async (call, cut) => {
      await call.event(record(ended));
      await new Promise((resolve) => setImmediate(resolve));
      cut();
    },
  ]);
  expect(error).toBeNull();
  expect(records).toEqual([3]);
});

test('a runner that says nothing for a while counts as gone', async () => {
  const { error, links, log } = await run([
    async (call) => {
      await call.block(0, bytes('0123456789'));
      await new Promise(() => {});
    },
    async (call) => {
      await call.event({ type: 'heartbeat', now: 0 });
      await call.event(record(ended));
      return {};
    },
  ]);
  expect(error).toBeNull();
  expect(log).toBe('0123456789');
  expect(links).toEqual(['reconnecting', 'connected']);
});

test('a silent runner on a machine that is over is given up as soon as that is known', async () => {
  const answers = [() => Promise.reject(new Error('503')), async () => false, async () => true];
  let asked = 0;
  const { error, slept } = await run(
    [
      async (call) => {
        await call.event(record(running));
        await new Promise(() => {});
      },
    ],
    {
      isOver: () => answers[Math.min(asked++, 2)]?.() ?? Promise.resolve(true),
      onLink: (_, text) => {
        throw new GpuRunError('lost', text);
      },
    },
  );
  expect(error).toMatchObject({ code: 'lost', message: expect.stringContaining('the machine is over') });
  expect(asked).toBe(3);
  expect(slept.length).toBeLessThan(17); // looks, one a second: silence alone would have taken that many
});

test('a block that a slow line takes long for is no silence', async () => {
  const clock = createClock();
  const client = clientOf(
    async (call) => {
      await call.block(0, bytes('0123456789'));
      await call.event(record(ended));
      return {};
    },
    async (frame, deliver) => {
      for (const byte of frame) {
        await clock.sleep(1_000);
        await deliver(Uint8Array.of(byte));
      }
    },
  );
  let heard = 0;
  const { log, links, error } = await run([], {
    clock,
    connect: async () => client,
    onHeard: () => {
      heard += 1;
    },
  });
  expect({ log, links, error }).toEqual({ log: '0123456789', links: [], error: null });
  expect(heard).toBeGreaterThan(10);
});

test('a reader that takes its time is not taken for silence', async () => {
  const clock = createClock();
  const client = clientOf(async (call) => {
    await call.block(0, bytes('01234'));
    await call.block(5, bytes('56789'));
    await call.event(record(ended));
    return {};
  });
  const links: string[] = [];
  let log = '';
  const options = {
    connect: async () => client,
    release: async () => {},
    jobId: 'job-1',
    logOffset: 0,
    record: 0,
    follow: true,
    clock,
    signal: new AbortController().signal,
    onLink: (state: string) => links.push(state),
  };
  for await (const part of followJob(options)) {
    await clock.sleep(60_000);
    if (part.type === 'log') log += Buffer.from(part.bytes).toString();
  }
  expect(log).toBe('0123456789');
  expect(links).toEqual([]);
});

test('bytes that are not the next ones are refused, not mixed in', async () => {
  const { error, log } = await run([
    async (call) => {
      await call.block(0, bytes('01234'));
      await call.block(6, bytes('6789'));
      return {};
    },
  ]);
  expect(log).toBe('01234');
  expect(error).toMatchObject({ code: 'protocol', message: expect.stringContaining('byte 5 was next') });
});

test.each([
  ['an event that is none', null],
  ['a record that is none', { type: 'records', records: [null] }],
  ['an end that does not say how', record({ n: 3, t: 0, type: 'state', state: 'ended', logOffset: 10 } as unknown as JobRecord)],
])('%s is the runner’s fault, and goes no further', async (_, event) => {
  const { error, records } = await run([
    async (call) => {
      await call.event(record(running));
      await call.event(event);
      return {};
    },
  ]);
  expect(error).toMatchObject({ code: 'protocol' });
  expect(records).toEqual([2]);
});

test('a runner that is through before the job has ended broke its word, unless only what is there was wanted', async () => {
  const through: Script = async (call) => {
    await call.event(record(running));
    return {};
  };
  expect((await run([through])).error).toMatchObject({ code: 'protocol', message: expect.stringContaining('how it ended') });
  expect((await run([through], { follow: false })).error).toBeNull();
});

test.each(['not-found', 'bad-input', 'lost', 'host-key'] as const)('what can not get better (%s) ends it at once', async (code) => {
  const { error, slept } = await run([new GpuRunError(code, 'no')]);
  expect(error).toMatchObject({ code });
  expect(slept).toEqual([]);
});

test.each(['not-allowed', 'protocol'] as const)('a machine that starts anew lets nobody in for a while (%s)', async (code) => {
  const rest: Script = async (call) => {
    await call.block(5, bytes('56789'));
    await call.event(record(ended));
    return {};
  };
  const notYet = new GpuRunError(code, 'System is booting up.');
  const { log, error, links } = await run([cutAfter, new GpuRunError('connection', 'refused'), notYet, notYet, rest]);
  expect(error).toBeNull();
  expect(log).toBe('0123456789');
  expect(links).toEqual(['reconnecting', 'connected']);
  const forGood = await run([cutAfter, notYet]);
  expect(forGood.error).toMatchObject({ code, message: notYet.message, hints: [expect.stringContaining('gpu-run logs job-1')] });
  expect(forGood.slept.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(180_000);
  expect(forGood.slept.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(210_000);
  const neverThere = await run([notYet]);
  expect(neverThere).toMatchObject({ error: { code }, slept: [] });
});

test('an abort ends it, in a pause and in the middle of a connection', async () => {
  const inPause = new AbortController();
  const first = await run([new GpuRunError('connection', 'no route')], { signal: inPause.signal, onLink: () => inPause.abort() });
  expect(first.error).toMatchObject({ code: 'interrupted' });
  const inConnection = new AbortController();
  const second = await run(
    [
      async (call) => {
        await call.event(record(running));
        setImmediate(() => inConnection.abort());
        await new Promise(() => {});
      },
    ],
    { signal: inConnection.signal },
  );
  expect(second.error).toMatchObject({ code: 'interrupted' });
  expect(second.records).toEqual([2]);
});

test('while this computer sleeps nobody tries: hours that pass at once are not counted, neither forwards nor backwards', async () => {
  for (const jump of [8 * 3_600_000, -8 * 3_600_000]) {
    let now = 10 * 3_600_000;
    let slept = 0;
    const clock: Clock = {
      now: () => now,
      sleep: async (ms) => {
        slept += ms;
        now += slept > 5_000 && slept - ms <= 5_000 ? ms + jump : ms;
      },
    };
    const { error } = await run([new GpuRunError('connection', 'no route')], { clock });
    expect(error).toMatchObject({ code: 'connection', message: expect.stringContaining('10 minutes') });
    expect(slept).toBeGreaterThan(500_000);
    expect(slept).toBeLessThan(620_000);
  }
});

test('what arrives damaged is fetched again, but not for ever from the same place', async () => {
  const damaged: Script = async (call, cut) => {
    await call.event({ type: 'heartbeat', now: 0 });
    await new Promise((resolve) => setImmediate(resolve));
    cut();
  };
  const broken = () => new GpuRunError('connection', 'A block arrived damaged.', { cause: new DamagedFrameError('a block arrived damaged') });
  const whole: Script = async (call) => {
    await call.block(0, bytes('0123456789'));
    await call.event(record(ended));
    return {};
  };
  const atFirstFrame = () =>
    new GpuRunError('protocol', 'The machine does not speak as the runner does.', { cause: new DamagedFrameError('a message arrived damaged') });
  expect((await run([broken(), atFirstFrame(), damaged, whole])).log).toBe('0123456789');
  expect((await run([atFirstFrame()])).error).toMatchObject({ code: 'protocol', message: expect.stringContaining('5 times') });
  const forEver = await run([broken()]);
  expect(forEver.error).toMatchObject({ code: 'protocol', message: expect.stringContaining('5 times at the same place') });
});

test('pauses vary, so that many don’t come back at once', async () => {
  const pauses = async (random: number) => (await run([new GpuRunError('connection', 'no route')], { random: () => random, giveUpAfterMs: 100 })).slept;
  expect([await pauses(0), await pauses(1)]).toEqual([[150], [250]]);
});
