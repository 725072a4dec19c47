/** `top` without a terminal of its own: one picture, one document, or events as they come. */
import { GpuRunError, toGpuRunError } from '../core/errors.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from '../workflows/context.ts';
import { saysInOrder } from '../workflows/end-reason.ts';
import { toEvent } from '../workflows/job-event.ts';
import { openTop } from '../workflows/top.ts';
import { createTopModel, type TopView } from '../workflows/top-model.ts';
import { isoTime } from './render/documents.ts';
import { createEventWriter } from './render/json-events.ts';
import { topEventDocument } from './render/top-document.ts';

/** Rates need two looks. */
const looks = 2;
const betweenMs = 500;
const lookEveryMs = 1_000;

/** @throws GpuRunError of a machine that can't be reached */
export async function lookOnce(machine: MachineEntry, context: RunContext): Promise<TopView> {
  const model = createTopModel();
  await openTop({ machine, everyMs: betweenMs, looks }, context, model.apply).done;
  const view = model.view();
  if (view === null) throw new GpuRunError('protocol', `'${machine.name}' told nothing of itself.`);
  return view;
}

/** JSON Lines, until it is interrupted or the machine has gone in order, of which the last of them tells. @throws GpuRunError as `runLive` */
export async function writeEvents(machine: MachineEntry, context: RunContext, write: (line: string) => Promise<void>): Promise<void> {
  const writeJobEvent = createEventWriter(write);
  await openTop({ machine, everyMs: lookEveryMs, looks: null }, context, (event) => {
    if (event.type === 'log') return writeJobEvent(event);
    if (event.type === 'record') return writeJobEvent(toEvent(event.record));
    return write(`${JSON.stringify(topEventDocument(event))}\n`);
  }).done.catch(async (error: unknown) => {
    if (context.signal.aborted || !saysInOrder(context.ledger.get(machine.id)?.endReason ?? null)) throw error;
    const gone = { type: 'link', at: isoTime(context.clock.now()), state: 'gone', text: toGpuRunError(error).message };
    await write(`${JSON.stringify(gone)}\n`);
  });
}
