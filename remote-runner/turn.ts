/**
 * Whose turn it is. Strictly in the order of submission: the job that came first starts first, and while it waits for GPUs nobody
 * behind it is let past, or a large job would wait for as long as small ones come. A setup changes what running jobs stand on, so
 * it runs while no other job does. A function of what it sees.
 */
import type { GrantedGpu } from './grant.ts';

/** The job that came first of those that wait. */
export interface Waiting {
  /** null: the machine to itself. */
  readonly gpus: number | null;
  /** Whether its setup has to run first. Asked only when the rest does not settle it. */
  readonly needsSetup: () => boolean;
  /** How long it has waited while the machine had too few GPUs, milliseconds. */
  readonly shortMs: number;
}

/** A job that has begun and not ended. */
export interface Holding {
  readonly id: string;
  /** As its user knows it. */
  readonly name: string;
  /** null: the machine to itself. */
  readonly gpus: readonly GrantedGpu[] | null;
  readonly inSetup: boolean;
}

export interface Stock {
  /** Those that answer. */
  readonly gpus: readonly GrantedGpu[];
  /** Why there are none, in words without a full stop. */
  readonly problem: string | null;
  /** Those that processes still use which could not be ended: UUID -> the job that left them. Asked only when the rest does not settle it. */
  readonly stuck: () => ReadonlyMap<string, string>;
}

export type Turn =
  | { readonly kind: 'start'; readonly gpus: readonly GrantedGpu[] | null }
  /** `why`: what it waits for, in words without a full stop. */
  | { readonly kind: 'wait'; readonly why: string }
  /** The stock must be known. */
  | { readonly kind: 'ask' }
  /** There are too few GPUs, though the machine had enough when it took the job. `short`: it is so now, and may pass. */
  | { readonly kind: 'short'; readonly why: string; readonly over: boolean };

/** A driver that is being restarted, or a GPU that is being reset, is back by then. */
export const mostShortMs = 120_000;

export function turnOf(next: Waiting, holding: readonly Holding[], stock: Stock | null): Turn {
  const settingUp = holding.find(({ inSetup }) => inSetup);
  if (settingUp !== undefined) return wait(`the setup of ${settingUp.name}`);
  if (next.gpus === null) return holding.length === 0 ? { kind: 'start', gpus: null } : wait(`the machine to itself; ${names(holding)}`);
  const whole = holding.find(({ gpus }) => gpus === null);
  if (whole !== undefined) return wait(`${whole.name}, which has the machine to itself`);
  if (stock === null) return { kind: 'ask' };
  if (stock.gpus.length < next.gpus) {
    const why = `${count(next.gpus)}: the machine shows ${stock.gpus.length}${stock.problem === null ? '' : ` (${stock.problem})`}`;
    return { kind: 'short', why, over: holding.length === 0 && next.shortMs >= mostShortMs };
  }
  const taken = new Set(holding.flatMap(({ gpus }) => gpus?.map(({ uuid }) => uuid) ?? []));
  const untaken = stock.gpus.filter(({ uuid }) => !taken.has(uuid));
  const running = holding.length > 0 ? `; ${names(holding)}` : '';
  if (untaken.length < next.gpus) return wait(`${count(next.gpus)}, of which ${free(untaken)}${running}`);
  const stuck = stock.stuck();
  const usable = untaken.filter(({ uuid }) => !stuck.has(uuid));
  if (usable.length < next.gpus) {
    const left = [...new Set(stuck.values())].map((id) => `; processes of ${id} could not be ended`).join('');
    const why = `${count(next.gpus)}, of which ${free(usable)}${running}${left}`;
    return holding.length > 0 ? wait(why) : { kind: 'short', why, over: next.shortMs >= mostShortMs };
  }
  if (holding.length > 0 && next.needsSetup()) return wait(`the machine to itself for its setup; ${names(holding)}`);
  return { kind: 'start', gpus: usable.slice(0, next.gpus) };
}

function wait(why: string): Turn {
  return { kind: 'wait', why };
}

function count(gpus: number): string {
  return gpus === 1 ? '1 GPU' : `${gpus} GPUs`;
}

function free(gpus: readonly GrantedGpu[]): string {
  return `${gpus.length} ${gpus.length === 1 ? 'is' : 'are'} free`;
}

/** More are not named: the list shows them. */
const mostNamed = 3;

function names(holding: readonly Holding[]): string {
  const ids = holding.slice(0, mostNamed).map(({ name }) => name);
  const more = holding.length - ids.length;
  return `${ids.join(', ')}${more > 0 ? ` and ${more} more` : ''} ${holding.length === 1 ? 'runs' : 'run'}`;
}
