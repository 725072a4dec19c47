/** The provider takes the machine back: kept on the disk until the next boot, so that no job is started after a restart of ours either. */
import { writeWithBallast } from './ballast.ts';
import { readJson, writeDurably } from './durable.ts';
import type { MachineFolder } from './machine-folder.ts';
import { bootId } from './processes.ts';

interface TakenBack {
  readonly boot: string;
}

/** Compute Engine gives a preempted machine up to 30 s; the last of them are for writing down how the job ended. */
export const takenBackGraceMs = 25_000;

export const takenBackText = `The provider takes this machine back. The job was told to end, and has ${takenBackGraceMs / 1000} seconds to save its work.`;

export function noteTakenBack(machine: MachineFolder): void {
  writeWithBallast(machine, () => writeDurably(machine.takenBack, JSON.stringify({ boot: bootId() } satisfies TakenBack)));
}

/** A machine that was stopped and is started again is ours again. */
export function isTakenBack(machine: MachineFolder): boolean {
  return readJson<TakenBack>(machine.takenBack)?.boot === bootId();
}
