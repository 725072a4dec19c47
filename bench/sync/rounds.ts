/** One workload on one link: everybody takes part in each round, one after the other, so that a slow moment hits all of them. */

import type { Contender, Form } from './contender.ts';
import type { Network } from './network.ts';
import type { ProcessorTime } from './processor-time.ts';
import { assertSameTree } from './same-tree.ts';
import type { Edit } from './workloads.ts';

export interface Sample {
  readonly seconds: number;
  /** Both ways; null: not counted. */
  readonly wireBytes: number | null;
  /** CPU; null: not counted. */
  readonly nearMs: number | null;
  readonly farMs: number | null;
}

export interface Taken {
  readonly name: string;
  readonly kind: Contender['kind'];
  readonly form: Form | null;
  readonly connects: boolean;
  readonly samples: readonly Sample[];
}

export interface Rounds {
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  readonly source: string;
  /** Absent: each run is a first one, into nothing. */
  readonly edit?: Edit | undefined;
  readonly network: Pick<Network, 'wireBytes'>;
  readonly cpu: Pick<ProcessorTime, 'now'>;
  readonly onStep: (text: string) => void;
}

/** @throws Error when a run fails, or leaves another tree than the source there: its time says nothing */
export async function takeRounds({ contenders, rounds, source, edit, network, cpu, onStep }: Rounds): Promise<readonly Taken[]> {
  const taken = contenders.map((contender) => ({ contender, samples: [] as Sample[] }));
  const check = (contender: Contender) => assertSameTree(contender.ownSource ?? source, contender.place());
  if (edit !== undefined) {
    for (const { contender } of taken) {
      onStep(`${contender.name}: everything for the first time`);
      await contender.prepare();
      await contender.ready?.(0);
      await contender.run();
      check(contender);
    }
  }
  for (let round = 1; round <= rounds; round += 1) {
    edit?.(source, round)();
    for (const { contender, samples } of taken) {
      onStep(`${contender.name}: round ${round} of ${rounds}`);
      if (edit === undefined) await contender.prepare();
      await contender.ready?.(round);
      samples.push(await measure(contender, network, cpu));
      check(contender);
      if (edit === undefined) await contender.clear();
    }
  }
  for (const { contender } of taken) await contender.clear();
  return taken.map(({ contender: { name, kind, form, connects }, samples }) => ({ name, kind, form, connects, samples }));
}

async function measure(contender: Contender, network: Pick<Network, 'wireBytes'>, cpu: Pick<ProcessorTime, 'now'>): Promise<Sample> {
  const bytes = network.wireBytes();
  const used = cpu.now();
  const start = performance.now();
  await contender.run();
  const seconds = (performance.now() - start) / 1000;
  const usedAfter = cpu.now();
  return {
    seconds,
    wireBytes: bytes === null ? null : (network.wireBytes() ?? 0) - bytes,
    nearMs: used === null || usedAfter === null ? null : usedAfter.nearMs - used.nearMs,
    farMs: used === null || usedAfter === null ? null : usedAfter.farMs - used.farMs,
  };
}
