/** What leaves a provider's network costs money at some: an estimate, from the bytes that gpu-run itself has fetched. */
import { costOf, costOfBytes } from '../core/money.ts';
import type { MachineEgress, MachineEntry } from '../ledger/ledger.ts';
import type { RunContext } from './context.ts';
import { billedSeconds } from './report-cost.ts';

/** What is fetched for long is booked on the way, so that the cost of a job is right while it runs. */
const bookEveryBytes = 64 * 1024 * 1024;

export interface PulledBytes extends Disposable {
  add(bytes: number): void;
}

/** Counts what is fetched from a machine and books it; the rest when it is disposed. `job`: whose it is. Where it costs nothing, nothing is written. */
export function countPulled(machine: MachineEntry, job: string | null, { ledger }: Pick<RunContext, 'ledger'>): PulledBytes {
  let bytes = 0;
  const book = () => {
    if (bytes === 0 || machine.offer.egress === undefined) return;
    ledger.note(machine.id, { fact: 'pulled', bytes, job });
    bytes = 0;
  };
  return {
    add: (more) => {
      bytes += more;
      if (bytes >= bookEveryBytes) book();
    },
    [Symbol.dispose]: book,
  };
}

function egressUsd({ offer, pulled = {} }: Pick<MachineEntry, 'offer' | 'pulled'>): number {
  return costOfBytes(offer.egress?.perGb ?? 0, pulledBytes(pulled));
}

/** `job`: its part alone. */
export function pulledBytes(pulled: MachineEgress['pulled'], job?: string): number {
  return job === undefined ? Object.values(pulled).reduce((sum, bytes) => sum + bytes, 0) : (pulled[job] ?? 0);
}

/** What a machine has cost by now, US dollars: its time, and the estimate of what was fetched from it. */
export function wholeCost(machine: MachineEntry, now: number): number {
  return costOf(machine.offer.price, billedSeconds(machine, now)) + egressUsd(machine);
}
