/** When the watchdog acts, over days that pass in a moment. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type GpuUse, type GpuUses, isClient, isSshSession, parseUses, useOf } from '../../../remote-runner/busy.ts';
import { decide, type Memory, nothingSeen, quietMs } from '../../../remote-runner/watch-decide.ts';
import { type ArmedOrder, lateMs, leadMs, type Moment, remainingMs } from '../../../remote-runner/watch-order.ts';

const start: Moment = { boot: 'b1', sinceBoot: 5_000, wall: 1_800_000_000_000 };
const later = (ms: number, wallOff = 0): Moment => ({ boot: 'b1', sinceBoot: start.sinceBoot + ms, wall: start.wall + ms + wallOff });
const orderOf = (more: Partial<ArmedOrder> = {}): ArmedOrder => ({
  deadline: 0,
  remainingMs: 4 * 3_600_000,
  why: 'deadline',
  idleSeconds: null,
  stallSeconds: null,
  onEnd: 'power-off',
  at: start,
  powerOff: [],
  id: 'order-1',
  deletedByProvider: false,
  ...more,
});

interface World {
  readonly jobs?: number;
  readonly running?: (ms: number) => readonly string[];
  readonly written?: (ms: number) => number;
  readonly somebody?: (ms: number) => boolean;
  readonly gpus?: (ms: number) => GpuUse;
}

const usesOf = (use: GpuUse): GpuUses => (use === 'idle' || use === 'works' ? new Map([[0, use]]) : use);

/** Looks each second until it ends; what comes of it, and when. */
async function run(order: ArmedOrder, world: World, untilMs: number) {
  let memory: Memory = nothingSeen;
  let warnedAt: number | null = null;
  let calmedAt: number | null = null;
  for (let ms = 0; ms <= untilMs; ms += 1_000) {
    const { jobs = 0, running = () => ['a'], written = () => 0, somebody = () => false, gpus = () => 'none' } = world;
    const asked = { somebody: async () => somebody(ms), gpus: async () => usesOf(gpus(ms)) };
    const look = () => ({ now: later(ms), jobs, running: running(ms).map((id) => ({ id, written: written(ms), gpus: null })), ...asked });
    const decision = await decide(order, later(ms), look, memory);
    memory = decision.memory;
    if (memory.warnings['a'] !== undefined) warnedAt ??= ms / 1000;
    else if (warnedAt !== null) calmedAt ??= ms / 1000;
    if (decision.end !== null) return { end: decision.end, at: ms / 1000, warnedAt, calmedAt };
  }
  return { end: null, at: null, warnedAt, calmedAt };
}

test('who looks only when something may be to decide ends what has to end a twentieth of its limit late at most, and at the deadline hardly at all', async () => {
  const limit = fc.option(fc.integer({ min: 1, max: 900 }));
  await fc.assert(
    fc.asyncProperty(limit, limit, fc.integer({ min: 1_000, max: 1_200_000 }), fc.boolean(), async (idleSeconds, stallSeconds, remaining, isBusy) => {
      const order = orderOf({ idleSeconds, stallSeconds, remainingMs: remaining });
      const ask = { somebody: async () => false, gpus: async () => usesOf('idle') };
      const sightAt = (ms: number) => ({ now: later(ms), jobs: isBusy ? 1 : 0, running: isBusy ? [{ id: 'a', written: 0, gpus: null }] : [], ...ask });
      let memory: Memory = nothingSeen;
      let ms = 0;
      for (let end: string | null = null; ; ms += quietMs(order, later(ms), memory)) {
        ({ end, memory } = await decide(order, later(ms), () => sightAt(ms), memory));
        if (end !== null) break;
      }
      const deadline = remaining - leadMs(order);
      const limitMs = (isBusy ? stallSeconds : idleSeconds) ?? Number.POSITIVE_INFINITY;
      const everyMs = Math.max(limitMs * 50, 1_000);
      const silent = isBusy ? everyMs : 0; // a job is silent from the second look on
      expect(ms).toBeLessThanOrEqual(Math.min(deadline + 100, silent + limitMs * 1_000 + everyMs + 100));
    }),
  );
});

describe('deadline', () => {
  test('the end begins a tenth of the time before it, 90 s at most, and says which limit has set it', async () => {
    expect(await run(orderOf(), { jobs: 1 }, 4 * 3_600_000)).toMatchObject({ end: 'deadline', at: 4 * 3_600 - 90 });
    expect(await run(orderOf({ remainingMs: 100_000, why: 'budget' }), { jobs: 1 }, 200_000)).toMatchObject({ end: 'budget', at: 90 });
    expect(await run(orderOf({ remainingMs: -5 }), {}, 0)).toMatchObject({ end: 'deadline', at: 0 });
  });

  test('a wall clock that is set while the machine runs changes nothing; across a reboot it is all there is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e8 }), fc.integer({ min: -1e12, max: 1e12 }), (ms, wallOff) => {
        expect(remainingMs(orderOf(), later(ms, wallOff))).toBe(4 * 3_600_000 - ms);
      }),
    );
    expect(remainingMs(orderOf(), { boot: 'b2', sinceBoot: 1_000, wall: start.wall + 3_600_000 })).toBe(3 * 3_600_000);
    expect([4_000, 60_000, 600_000, 3_600_000].map((remainingMs) => leadMs({ remainingMs }))).toEqual([2_000, 10_000, 60_000, 90_000]);
  });

  test('a provider that deletes gets its time, and a machine that it forgets is off within a minute', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e10 }), (remainingMs) => {
        const late = lateMs({ remainingMs, deletedByProvider: true });
        expect(late).toBeLessThanOrEqual(40_000);
        if (remainingMs >= 600_000) expect(late).toBeGreaterThan(30_000); // Google may be half a minute late
        expect(lateMs({ remainingMs, deletedByProvider: false })).toBe(0);
      }),
    );
  });

  test('it comes though nothing can be looked at', async () => {
    const look = () => {
      throw new Error('no such folder');
    };
    expect(await decide(orderOf({ remainingMs: 0 }), start, look, nothingSeen)).toMatchObject({ end: 'deadline' });
  });
});

describe('idle', () => {
  const order = orderOf({ idleSeconds: 600 });
  test('ends after the limit, at most a twentieth late', async () => {
    const { end, at } = await run(order, { gpus: () => 'idle' }, 3_600_000);
    expect(end).toBe('idle');
    expect(at).toBeGreaterThanOrEqual(600);
    expect(at).toBeLessThanOrEqual(630);
  });
  test.each<[string, World]>([
    ['a job', { jobs: 1, written: (ms) => ms }],
    ['somebody who is in', { somebody: () => true }],
    ['a GPU that works', { gpus: () => 'works' }],
    ['a driver that does not say', { gpus: () => 'unknown' }],
  ])('%s is use', async (_, world) => expect(await run(order, world, 3_600_000)).toMatchObject({ end: null }));
  test('use in between begins the count anew', async () => {
    const { at } = await run(order, { somebody: (ms) => ms >= 300_000 && ms < 400_000 }, 3_600_000);
    expect(at).toBeGreaterThanOrEqual(1_000);
  });
  test('a host that stays is left alone', async () =>
    expect(await run(orderOf({ idleSeconds: 600, onEnd: 'leave' }), {}, 3_600_000)).toMatchObject({ end: null }));
});

describe('stall', () => {
  const order = orderOf({ stallSeconds: 600 });
  test('warned of after half of the time, ended after all of it', async () => {
    const { end, at, warnedAt } = await run(order, { jobs: 1, gpus: () => 'idle' }, 3_600_000);
    expect(end).toBe('stalled');
    expect(at).toBeGreaterThanOrEqual(600);
    expect(at).toBeLessThanOrEqual(660);
    expect(warnedAt).toBeGreaterThanOrEqual(300);
    expect(warnedAt).toBeLessThanOrEqual(360);
  });
  test('a warning holds until the job works again', async () => {
    const { end, warnedAt, calmedAt } = await run(order, { jobs: 1, gpus: () => 'idle', written: (ms) => (ms < 500_000 ? 0 : ms) }, 3_600_000);
    expect(end).toBeNull();
    expect(calmedAt).toBeGreaterThan(warnedAt ?? Number.POSITIVE_INFINITY);
  });
  test.each<[string, World]>([
    ['output', { gpus: () => 'idle', written: (ms) => Math.floor(ms / 500_000) }],
    ['a silent job behind another', { gpus: () => 'idle', running: (ms) => [`job-${Math.floor(ms / 500_000)}`] }],
    ['a GPU that works now and then', { gpus: (ms) => (ms % 300_000 < 60_000 ? 'works' : 'idle') }],
    ['a machine without GPU', { gpus: () => 'none' }],
    ['a driver that does not say', { gpus: () => 'unknown' }],
  ])('%s is none', async (_, world) => expect(await run(order, { jobs: 1, ...world }, 3_600_000)).toMatchObject({ end: null }));
});

describe('two jobs side by side', () => {
  /** Job `a` on GPU 0 writes nothing, `b` on GPU 1 writes all the time; GPU 1 works. */
  async function twoJobs(more: Partial<ArmedOrder>, uses: GpuUses, gpusOfA: readonly number[] | null = [0]) {
    let memory: Memory = nothingSeen;
    for (let ms = 0; ms <= 3_600_000; ms += 1_000) {
      const running = [
        { id: 'a', written: 7, gpus: gpusOfA },
        { id: 'b', written: ms, gpus: [1] },
      ];
      const look = () => ({ now: later(ms), jobs: 3, running, somebody: async () => false, gpus: async () => uses });
      const decision = await decide(orderOf({ stallSeconds: 600, ...more }), later(ms), look, memory);
      memory = decision.memory;
      if (decision.end !== null) return { end: decision.end, jobs: decision.jobs, warned: Object.keys(memory.warnings) };
    }
    return null;
  }
  const oneWorks: GpuUses = new Map([
    [0, 'idle'],
    [1, 'works'],
  ]);

  test('the one that stalls ends, and the other goes on, also where the machine could be switched off', async () => {
    expect(await twoJobs({ onEnd: 'power-off' }, oneWorks)).toEqual({ end: 'stalled', jobs: ['a'], warned: ['a'] });
    expect(await twoJobs({ onEnd: 'leave' }, oneWorks)).toEqual({ end: 'stalled', jobs: ['a'], warned: ['a'] });
  });
  test("another job's GPU saves nobody; one's own does, and so does any where the job has the whole machine", async () => {
    expect(await twoJobs({}, new Map([[0, 'works'], [1, 'idle']] as const))).toBeNull(); // biome-ignore format: a table
    expect(await twoJobs({}, oneWorks, null)).toBeNull();
  });
});

test('what nvidia-smi says of use', () => {
  const all = (text: string) => useOf(parseUses(text), null);
  expect(all('0, 0\n1, 4\n')).toBe('idle');
  expect(all('0, 0\n1, 5\n')).toBe('works');
  expect(all('0, [N/A]\n1, 97\n')).toBe('works');
  expect(all('0, 0\n1, [N/A]\n')).toBe('unknown');
  expect(all('\n')).toBe('unknown');
  const uses = parseUses('0, 0\n1, 97\n2, [N/A]\n');
  expect([[0], [1], [0, 2], [1, 2], [3]].map((indexes) => useOf(uses, indexes))).toEqual(['idle', 'works', 'unknown', 'works', 'unknown']);
});

test('who counts as being in', () => {
  for (const line of ['sshd: ann@pts/0', 'sshd: ann@notty', 'sshd-session: ann@pts/12']) expect(isSshSession(line)).toBe(true);
  for (const line of ['sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups', 'sshd: root [priv]', 'sshd: unknown [net]', 'vim sshd: ann@pts/0'])
    expect(isSshSession(line)).toBe(false);
  expect(isClient('/usr/bin/node /home/a/.gpu-run/runner/1/runner.mjs connect --root /home/a/m1', '/home/a/m1')).toBe(true);
  expect(isClient('/usr/bin/node /home/a/.gpu-run/runner/1/runner.mjs connect --root /home/a/m12', '/home/a/m1')).toBe(false);
});
