/** `top` with keys, of a real runner over pipes. */
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { createStyle } from '../../../src/cli/render/style.ts';
import { asciiGlyphs } from '../../../src/cli/render/top-plot.ts';
import { type LiveParts, runLive } from '../../../src/cli/top-live.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { reachMachine } from '../../../src/workflows/reach-machine.ts';
import { specOf, until } from '../../support/runner.ts';
import { usePipedMachine } from '../workflows/piped-machine.ts';
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
  expect(notes.slice(-2)).toEqual([`Cancelling ${spec.id} ...`, `${spec.id} was cancelled.`]);
});
