/** `top` with keys, of a real runner over pipes. */
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { createStyle } from '../../../src/cli/render/style.ts';
import { asciiGlyphs } from '../../../src/cli/render/top-plot.ts';
import { type LiveParts, runLive } from '../../../src/cli/top-live.ts';
import { writeEvents } from '../../../src/cli/top-once.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { RemoteProcess } from '../../../src/transport/transport.ts';
import { downReason, jobEndedReason, preemptedReason, saysInOrder } from '../../../src/workflows/end-reason.ts';
import { reachMachine } from '../../../src/workflows/reach-machine.ts';
import { specOf, until } from '../../support/runner.ts';
import { runOn, usePipedMachine } from '../workflows/piped-machine.ts';
import { jobEntry } from './entries.ts';

const piped = usePipedMachine();

function fakeTerminal() {
  let shown = '';
  const stdin = Object.assign(new EventEmitter(), { isTTY: true, setRawMode: () => {}, resume: () => {}, pause: () => {} });
  const stdout = Object.assign(new EventEmitter(), {
    columns: 120,
    rows: 40,
    write: (text: string) => {
      shown += text;
      return true;
    },
  });
  const look = { style: createStyle(false), glyphs: asciiGlyphs };
  const parts = { stdin, stdout, source: new EventEmitter(), stopGroup: () => {}, stopSelf: () => {}, look } as unknown as LiveParts;
  return { parts, press: (keys: string) => stdin.emit('data', Buffer.from(keys)), shown: () => shown };
}

test('who leaves while a job is being cancelled hears what came of it', async () => {
  const { machine, fake } = piped;
  const context = { ...piped.context, clock: systemClock };
  const spec = specOf('sleep 1000');
  context.ledger.putJob(jobEntry(null, { id: spec.id, machineId: machine.id, machineName: machine.name }));
  {
    await using reached = await reachMachine(machine, context);
    await reached.runner.call('submit', { spec });
  }
  const terminal = fakeTerminal();
  const live = runLive(machine, context, terminal.parts);
  await until(() => terminal.shown().includes(spec.id) && terminal.shown().includes('running'), 'the job in the picture');
  terminal.press('c');
  terminal.press('y');
  terminal.press('q');
  await live;
  expect(context.ledger.getJob(spec.id)).toMatchObject({ state: 'ended', end: { reason: 'cancelled' } });
  const notes = fake.reports.flatMap((report) => (report.type === 'note' ? [report.text] : []));
  expect(notes.slice(-3)).toEqual([
    `Cancelling ${spec.id} ...`,
    'It has time to save its work. Ctrl-C leaves: the machine goes on with it.',
    `${spec.id} was cancelled.`,
  ]);
});

test('keys that can do nothing say so; whoever does not wait for a job that takes its time to end hears that it is cancelled all the same', async () => {
  const { machine, fake } = piped;
  const stop = new AbortController();
  const context = { ...piped.context, clock: systemClock };
  const [done, stubborn] = [specOf('true'), specOf("trap '' TERM; echo ready; while :; do sleep 0.1; done", { graceMs: 600_000 })];
  for (const { id } of [done, stubborn]) context.ledger.putJob(jobEntry(null, { id, machineId: machine.id, machineName: machine.name }));
  {
    await using reached = await reachMachine(machine, context);
    await reached.runner.call('submit', { spec: done });
    await until(async () => (await reached.runner.call('jobs', {})).jobs[0]?.state === 'ended', 'the end of the first');
    await reached.runner.call('submit', { spec: stubborn });
  }
  const terminal = fakeTerminal();
  const live = runLive(machine, { ...context, signal: stop.signal }, terminal.parts);
  await until(() => terminal.shown().includes('ready'), 'the second job in the picture');
  terminal.press('9');
  expect(terminal.shown()).toContain('There is no such job here.');
  terminal.press('1');
  await until(() => terminal.shown().includes(`${done.id} ended`), 'the first job in the picture');
  terminal.press('c');
  expect(terminal.shown()).toContain('This job has ended. Choose another one first');
  terminal.press('2');
  await until(() => terminal.shown().lastIndexOf(`${stubborn.id} running`) > terminal.shown().lastIndexOf(`${done.id} ended`), 'the second job again');
  for (const key of 'cyq') terminal.press(key);
  const notes = () => fake.reports.flatMap((report) => (report.type === 'note' ? [report.text] : []));
  await until(() => notes().at(-1)?.includes('Ctrl-C leaves') === true, 'word that one may leave');
  stop.abort();
  await expect(live).rejects.toThrow();
  expect(notes().at(-1)).toBe(`${stubborn.id} is cancelled all the same; gpu-run status tells when it has ended.`);
  await using reached = await reachMachine(machine, context);
  expect(await reached.runner.call('cancel', { id: stubborn.id, graceMs: 0 })).toMatchObject({ state: 'ended', end: { reason: 'cancelled' } });
});

test('a machine that goes down behind its job is no error for whoever watches it', async () => {
  expect([jobEndedReason('job-20261121-k3v9xq'), downReason, preemptedReason, null].map(saysInOrder)).toEqual([true, true, false, false]);
  const { machine, fake } = piped;
  const context = { ...piped.context, clock: { ...systemClock, now: () => piped.context.clock.now() } }; // its deadline is to come
  const id = await runOn(piped, 'echo hello');
  context.ledger.putJob(jobEntry({}, { id, machineId: machine.id, machineName: machine.name }));
  const { connect } = piped;
  const programs: RemoteProcess[] = [];
  piped.connect = () => {
    if (context.ledger.get(machine.id)?.state === 'gone') throw new GpuRunError('connection', 'Nobody is there.');
    const transport = connect();
    const exec: typeof transport.exec = (argv, options) => {
      const remote = transport.exec(argv, options);
      programs.push(remote);
      return remote;
    };
    return { ...transport, exec };
  };
  const terminal = fakeTerminal();
  const lines: string[] = [];
  const writing = writeEvents(machine, context, async (line) => void lines.push(line));
  const live = runLive(machine, context, terminal.parts);
  await until(() => terminal.shown().includes('hello') && lines.some((line) => line.includes('"state":"ended","exitCode":0')), 'the log in the picture');
  context.ledger.note(machine.id, { fact: 'gone', reason: jobEndedReason(id), leftovers: [] });
  for (const remote of programs) remote.kill('SIGKILL');
  await Promise.all([live, writing]);
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ type: 'link', state: 'gone', text: `The machine '${machine.name}' no longer exists: ${id} ended.` });
  const notes = fake.reports.flatMap((report) => (report.type === 'note' ? [report.text] : []));
  expect(notes.slice(-3)).toEqual([
    `The machine '${machine.name}' no longer exists: ${id} ended.`,
    expect.stringMatching(new RegExp(`^${id} ended with exit code 0`)),
    `gpu-run report ${id}   shows how it used the machine`,
  ]);
});
