/**
 * A little disk space that is set aside, so that a job which fills the disk can still be cancelled and its end written down.
 */
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineFolder } from './machine-folder.ts';

const ballastBytes = 256 * 1024;
const tryAgainMs = 1_000;

/** Random content: file systems that compress would set nothing aside for zeros. */
export function setBallast(machine: MachineFolder): void {
  try {
    writeFileSync(ballastFile(machine), randomBytes(ballastBytes), { mode: 0o600 });
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

/** Does it, if need be with the ballast's space. @throws what `write` throws */
export function writeWithBallast<T>(machine: MachineFolder, write: () => T): T {
  try {
    return write();
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    freeBallast(machine);
    return write();
  }
}

/** So that it can be done. */
export function freeBallast(machine: MachineFolder): void {
  rmSync(ballastFile(machine), { force: true });
}

/** Does it as soon as there is room: for what must be written whatever it takes. */
export async function writeWhenThereIsRoom(machine: MachineFolder, write: () => void): Promise<void> {
  for (;;) {
    try {
      writeWithBallast(machine, write);
      return;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      await sleep(tryAgainMs);
    }
  }
}

function ballastFile(machine: MachineFolder): string {
  return join(machine.root, 'ballast');
}
