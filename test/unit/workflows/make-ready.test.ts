/** From a machine that was ordered to one that is ready: what is waited for, how long, and what is said when it does not come. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { MachineStatus } from '../../../src/core/machine.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import { harmlessLines } from '../../../src/workflows/console-tail.ts';
import { readyLimits } from '../../../src/workflows/make-ready.ts';
import { billedSeconds } from '../../../src/workflows/report-cost.ts';
import { up } from '../../../src/workflows/up.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createFakeGpus, findCompiler } from '../../support/fake-gpu/fake-gpu.ts';
import { kill, pipeTransport, processesHolding, until } from '../../support/runner.ts';
import { createFakeContext, type FakeContext, fakeInput } from './fake-context.ts';

const built = useBuiltRunner();
let fake: FakeContext;
let provider: FakeProvider;
afterEach(() => fake[Symbol.dispose]());

function prepare(parts: Partial<Provider> = {}, status: (real: MachineStatus) => MachineStatus = (real) => real): void {
  fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock });
    const { describe: look } = provider;
    Object.assign(provider, { describe: async (...args: Parameters<typeof look>) => status(await look(...args)) }, parts);
    return { fake: provider };
  });
}

/** `attempt`: from 1 on; what it throws is why there is no connection. */
function upWith(attempt: (number: number) => Transport | Error, more: Partial<typeof fakeInput> = {}) {
  let count = 0;
  const connect = (): Transport => {
    const outcome = attempt(++count);
    if (!(outcome instanceof Error)) return outcome;
    return { ...pipeTransport(), connect: () => Promise.reject(outcome) };
  };
  const going = up({ ...fakeInput, ...more }, { ...fake.context, connect, runner: { ...fake.context.runner, file: built.script, version: 'test-1' } });
  going.catch(() => {});
  return { going, attempts: () => count };
}

const refused = () => new GpuRunError('connection', 'Nothing listens there.', { retry: 'same' });
const keyRefused = () => new GpuRunError('not-allowed', 'It does not accept our key.');
const gpu = { name: 'L4', count: 2 };
const machineHome = (name: string) => {
  const home = mkdtempSync(join(built.folder, `${name}-`));
  return createFakeGpus(home, ['NVIDIA L4', 'NVIDIA L4'], findCompiler(), { PATH: process.env['PATH'], HOME: home, METADATA_SERVER_DETECTION: 'none' });
};

/** Time passes, step by step, until it has happened. What real processes do takes no time of the fake clock. */
async function passUntil(happened: () => boolean, stepMs = 500): Promise<void> {
  await until(async () => {
    if (happened()) return true;
    await fake.clock.advance(stepMs);
    return happened();
  }, 'it');
}

const told = () => fake.reports.flatMap((report) => ('text' in report ? [report.text] : [])).join('\n');

describe('a machine that boots', () => {
  test('may refuse connections and then our key; then its GPUs are checked by the runner', async () => {
    prepare();
    const gpus = machineHome('boots');
    const { going, attempts } = upWith((number) => (number < 3 ? refused() : number < 5 ? keyRefused() : pipeTransport(gpus.env)), {
      need: { ...fakeInput.need, gpu },
    });
    await passUntil(() => attempts() === 5);
    const { machine } = await going;
    expect(machine).toMatchObject({ state: 'ready' });
    expect(told()).toMatch(/Connecting to 'cats'\nChecking the GPUs\n(.*\n)?2 x NVIDIA L4/);
  });

  test('installs its driver and starts anew in the middle of it', async () => {
    prepare();
    const gpus = machineHome('installs');
    const { spawn } = await import('node:child_process');
    gpus.fail("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.");
    const installer = spawn('sleep', ['60'], { argv0: '/opt/deeplearning/install-driver.sh', stdio: 'ignore' });
    try {
      const { going, attempts } = upWith(() => pipeTransport(gpus.env), { need: { ...fakeInput.need, gpu } });
      await passUntil(() => attempts() === 1);
      await until(() => told().includes('The NVIDIA driver is being installed'), 'the first word of it');
      for (const pid of processesHolding(`HOME=${gpus.env['HOME']}`)) kill(pid);
      gpus.answer(['NVIDIA L4', 'NVIDIA L4']);
      const { machine } = await Promise.race([going, passUntil(() => attempts() === 2).then(() => going)]);
      expect(machine).toMatchObject({ state: 'ready' });
      expect(attempts()).toBe(2);
    } finally {
      installer.kill('SIGKILL');
    }
  });

  test('with too few GPUs is ended again, and the place is named unfit', async () => {
    prepare();
    const gpus = machineHome('few');
    gpus.answer(['NVIDIA L4']);
    const { going, attempts } = upWith(() => pipeTransport(gpus.env), { need: { ...fakeInput.need, gpu } });
    await passUntil(() => attempts() === 1);
    await expect(going).rejects.toMatchObject({ code: 'unfit', message: expect.stringContaining('1 of 2 GPUs') });
    expect(provider.machines.filter(({ goneAt }) => goneAt === null)).toEqual([]);
  });
});

describe('a machine in a queue', () => {
  test('is waited for, and then has its whole time', async () => {
    let turn = false;
    let timer = 0;
    prepare({}, (real) =>
      turn ? { ...real, deadline: timer } : { state: 'pending', queued: true, access: null, detail: 'it waits in the queue', deadline: null },
    );
    const gpus = machineHome('queue');
    const { going, attempts } = upWith(() => pipeTransport(gpus.env));
    await passUntil(() => told().includes('it waits in the queue'));
    await fake.clock.advance(readyLimits.bootMs * 6);
    timer = fake.clock.now() + 3_600_000;
    turn = true;
    await passUntil(() => attempts() === 1);
    const { machine } = await going;
    expect(machine).toMatchObject({ state: 'ready', deadline: timer });
    // The time in the queue costs nothing, and no budget is used up by it.
    expect(billedSeconds(machine, timer - 3_600_000 + 60_000)).toBeLessThan(120);
    expect(fake.context.ledger.bills()[0]?.begunAt).toBe(machine.begunAt);
  });

  test('does not wait for ever', async () => {
    prepare({}, (real) =>
      real.state === 'running' ? { state: 'pending', queued: true, access: null, detail: 'it waits in the queue', deadline: null } : real,
    );
    const { going } = upWith(() => refused());
    await passUntil(() => told().includes('it waits in the queue'));
    await fake.clock.advance(readyLimits.queueMs + 10_000);
    await expect(going).rejects.toMatchObject({ code: 'unfit', message: expect.stringContaining('did not start') });
    const [machine] = fake.context.ledger.list();
    expect(machine).toMatchObject({ state: 'gone' });
    if (machine !== undefined) expect(billedSeconds(machine, fake.clock.now())).toBeLessThan(60);
  });
});

describe('a provider that does not answer', () => {
  const trouble = () => new GpuRunError('connection', '503 from the API.', { retry: 'same' });

  test('once, and once more, is asked again', async () => {
    prepare();
    provider.failNext('describe', trouble());
    provider.failNext('describe', trouble());
    const { going } = upWith(() => new GpuRunError('host-key', 'It got that far.'));
    await fake.clock.advance(1_000);
    await expect(going).rejects.toMatchObject({ code: 'host-key' });
    expect(told()).toContain("Waiting for 'cats': fake did not say how it is: 503 from the API");
  });

  test('never, in the time of a boot', async () => {
    prepare();
    for (let time = 0; time < 1_000; time++) provider.failNext('describe', trouble());
    const { going } = upWith(refused);
    await fake.clock.advance(readyLimits.bootMs + 10_000);
    await expect(going).rejects.toMatchObject({ code: 'unfit', message: expect.stringContaining('503 from the API') });
  });

  test('says no: that is no matter of patience', async () => {
    prepare();
    provider.failNext('describe', new GpuRunError('not-allowed', 'The key may not look at machines.'));
    const { going } = upWith(refused);
    await fake.clock.advance(0);
    await expect(going).rejects.toMatchObject({ code: 'not-allowed' });
  });
});

describe('one that never comes', () => {
  const console = { tail: async () => '\u001b[0;32m[  OK  ]\u001b[0m Started\r\nKernel panic - not syncing\u0007\n' };

  test('SSH does not answer: unfit after its time, with the end of the console', async () => {
    prepare({ console });
    const { going } = upWith(refused);
    await fake.clock.advance(readyLimits.sshMs - 1_000);
    expect(provider.machines[0]?.goneAt).toBeNull();
    await fake.clock.advance(10_000);
    const failure = (await going.catch((error: unknown) => error)) as GpuRunError;
    expect(failure).toMatchObject({ code: 'unfit', message: expect.stringMatching(/could not be reached within 5 minutes: Nothing listens there/) });
    expect(failure.hints.join('\n')).toContain('The end of its serial console:\n  [  OK  ] Started\n  Kernel panic - not syncing');
    expect(provider.machines.filter(({ goneAt }) => goneAt === null)).toEqual([]);
  });

  test('a console that hangs does not keep it alive', async () => {
    prepare({ console: { tail: () => new Promise(() => {}) } });
    const { going } = upWith(refused);
    await fake.clock.advance(readyLimits.sshMs + 30_000);
    await expect(going).rejects.toMatchObject({ code: 'unfit' });
  });

  test('a console that fails hides nothing', async () => {
    prepare({ console: { tail: () => Promise.reject(new Error('403')) } });
    const { going } = upWith(refused);
    await fake.clock.advance(readyLimits.sshMs + 10_000);
    await expect(going).rejects.toMatchObject({ code: 'unfit', message: expect.stringContaining('Nothing listens') });
  });

  test('our key stays refused: not allowed, after a while', async () => {
    prepare();
    const { going } = upWith(keyRefused);
    await fake.clock.advance(readyLimits.keyMs - 5_000);
    expect(provider.machines[0]?.goneAt).toBeNull();
    await fake.clock.advance(10_000);
    await expect(going).rejects.toMatchObject({ code: 'not-allowed' });
  });

  test('another host key than expected: at once, without a second try', async () => {
    prepare();
    const { going, attempts } = upWith(() => new GpuRunError('host-key', 'Another key.'));
    await fake.clock.advance(0);
    await expect(going).rejects.toMatchObject({ code: 'host-key' });
    expect(attempts()).toBe(1);
  });

  test.each([
    ['preempted', 'preempted', /took it back/],
    ['deleted', 'lost', /somebody ended it/],
    [undefined, 'lost', /ended while it was starting\.$/],
  ] as const)('ended meanwhile (%s): %s', async (cause, code, words) => {
    let gone = false;
    prepare({}, (real) => (gone ? { ...real, state: 'gone', access: null, ...(cause === undefined ? {} : { cause }) } : real));
    const { going } = upWith(() => {
      gone = true;
      return refused();
    });
    await fake.clock.advance(1_000);
    await expect(going).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
  });

  test('the user’s own host is reached or not: it does not boot', async () => {
    prepare();
    Object.assign(provider, { traits: { ...provider.traits, borrowed: true } });
    const { going } = upWith(refused);
    await fake.clock.advance(0);
    await expect(going).rejects.toMatchObject({ code: 'connection' });
  });
});

test('whatever a console says, it is short lines without anything that steers a terminal', () => {
  const nasty = fc.array(
    fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\u001b[31m', '\u001b]0;title\u0007', '\r', '\n', '\u202e', '\u009b2J', 'word')),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(nasty, (parts) => {
      const lines = (harmlessLines(parts.join('')) ?? '').split('\n');
      expect(lines.length).toBeLessThanOrEqual(30);
      for (const line of lines) {
        expect(line).not.toMatch(/\p{C}/u);
        expect(line.length).toBeLessThan(210);
      }
    }),
  );
  expect(harmlessLines(' \r\n\u0000\n')).toBeNull();
});
