/** The call that sets the watchdog. */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { Calls } from '../src/protocol/calls.ts';
import { writeWithBallast } from './ballast.ts';
import { writeDurably } from './durable.ts';
import type { MachineFolder } from './machine-folder.ts';
import { findPowerOff } from './power-off.ts';
import { RunnerError } from './runner-error.ts';
import { liveHolder } from './serve-lock.ts';
import type { Starter } from './start-serve.ts';
import { type ArmedOrder, saysWhatToDo, thisMoment } from './watch-order.ts';

/** @throws RunnerError bad-input */
export async function arm(order: Calls['arm']['params'], machine: MachineFolder, watching: Starter): Promise<Calls['arm']['result']> {
  const { deadline, remainingMs, why, idleSeconds, stallSeconds, onEnd, deletedByProvider } = order;
  if (!Number.isFinite(deadline) || !saysWhatToDo({ ...order })) throw new RunnerError('bad-input', 'The order for the watchdog is not in order.');
  const at = thisMoment(); // before anything that takes time
  const { commands, problem } = onEnd === 'power-off' ? await findPowerOff() : { commands: [], problem: null };
  const armed: ArmedOrder = { id: randomUUID(), deadline, remainingMs, why, idleSeconds, stallSeconds, onEnd, deletedByProvider, at, powerOff: commands };
  writeWithBallast(machine, () => writeDurably(machine.armed, JSON.stringify(armed)));
  // An end that was begun under the order before this one does not count any more, also where it is not removed.
  for (const file of [machine.over, machine.warning]) rmSync(file, { force: true });
  watching.start(); // in place of one of another version
  await watching.alive();
  return { pid: liveHolder(machine.watchLock)?.pid ?? 0, powerOff: commands[0]?.join(' ') ?? null, problem };
}
