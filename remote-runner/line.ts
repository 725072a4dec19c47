/** The line of jobs that wait: gives the machine to those whose turn it is, and says what the others wait for. */
import { rmSync } from 'node:fs';
import { isFields, isText } from '../src/protocol/shape.ts';
import { writeWithBallast } from './ballast.ts';
import { readChecked, writeDurably } from './durable.ts';
import { createInventory } from './gpu-inventory.ts';
import { describeGrant, type Grant, readGrant, writeGrant } from './grant.ts';
import { type JobOrder, type QueueEntry, readableOrder, readOrder, readStanding } from './job-files.ts';
import { type JobFolder, jobFolder, type MachineFolder } from './machine-folder.ts';
import { wasStarted } from './phase.ts';
import { endUnfitJob, tellQueued } from './queued-job.ts';
import { isSetUp, setupHash } from './setup-stamp.ts';
import { stockOf } from './stock.ts';
import { type Holding, type Turn, turnOf } from './turn.ts';

/** An answer of the driver is good for so long: then a GPU may have fallen off the bus. */
const freshMs = 60_000;
/** A driver that shows too few GPUs is asked again after so long. */
const askAgainMs = 10_000;

export interface FirstInLine {
  readonly id: string;
  readonly waitsFor: string;
}

export interface Line {
  /** Those of `waiting` that may begin now, in their order; what they were given is on the disk. `running`: ids of all that have begun. */
  next(waiting: readonly QueueEntry[], running: Iterable<string>): QueueEntry[];
}

/** `wake` is called when it is worth while to ask for the next one again. */
export function createLine(machine: MachineFolder, wake: () => void): Line {
  const inventory = createInventory(wake);
  const told = new Map<string, string>();
  let short: { readonly id: string; readonly since: number } | null = null;
  let written: string | null = null;

  const note = (first: FirstInLine | null) => {
    const text = first === null ? '' : JSON.stringify(first);
    if (text === written) return;
    if (first === null) rmSync(machine.firstInLine, { force: true });
    else writeWithBallast(machine, () => writeDurably(machine.firstInLine, text));
    written = text;
  };
  /** For those who follow it. What waits for the whole machine is told by whoever has sent it. */
  const tell = (job: JobFolder, order: JobOrder, text: string) => {
    if (told.get(job.id) === text) return;
    told.set(job.id, text);
    if ((order.gpus ?? null) !== null) tellQueued(job, 'info', text);
  };
  const turnNow = (id: string, order: JobOrder, holding: readonly Holding[], hash: () => string | null): Turn => {
    const shortMs = short?.id === id ? performance.now() - short.since : 0;
    const turn = turnOf({ gpus: order.gpus ?? null, needsSetup: () => hash() !== null, shortMs }, holding, stockOf(machine, inventory, holding));
    if (turn.kind !== 'short') short = null;
    else if (short?.id !== id) short = { id, since: performance.now() };
    const stale = turn.kind === 'start' && turn.gpus !== null && inventory.ageMs() > freshMs;
    if (stale || turn.kind === 'ask' || (turn.kind === 'short' && inventory.ageMs() > askAgainMs)) inventory.ask();
    return stale ? { kind: 'ask' } : turn;
  };

  return {
    next(waiting, running) {
      const holding = [...running].map((id) => holdingOf(jobFolder(machine, id)));
      const begin: QueueEntry[] = [];
      forgetOthers(told, waiting);
      for (const [at, entry] of waiting.entries()) {
        const job = jobFolder(machine, entry.id);
        const order = readOrder(job);
        const hash = once(() => neededSetup(machine, order));
        const turn = turnNow(job.id, order, holding, hash);
        if (turn.kind === 'start') {
          const grant = { gpus: turn.gpus, setup: hash() };
          begun(machine, job, order, grant);
          holding.push({ id: job.id, name: nameOf(job), gpus: grant.gpus, inSetup: grant.setup !== null });
          begin.push(entry);
          continue;
        }
        if (turn.kind === 'short' && turn.over) {
          endUnfitJob(job, `it needs ${turn.why}`);
          continue;
        }
        const why = turn.kind === 'ask' ? 'the driver to name the GPUs' : turn.why;
        note({ id: job.id, waitsFor: why });
        if (turn.kind !== 'ask') tell(job, order, `Waiting for ${why}.`);
        for (const behind of waiting.slice(at + 1)) tellBehind(jobFolder(machine, behind.id), told, tell);
        return begin;
      }
      note(null);
      return begin;
    },
  };
}

/** Those who have begun, or have ended while they waited. */
function forgetOthers(told: Map<string, string>, waiting: readonly QueueEntry[]): void {
  const ids = new Set(waiting.map(({ id }) => id));
  for (const id of told.keys()) if (!ids.has(id)) told.delete(id);
}

function tellBehind(job: JobFolder, told: ReadonlyMap<string, string>, tell: (job: JobFolder, order: JobOrder, text: string) => void): void {
  if (!told.has(job.id)) tell(job, readOrder(job), 'Waiting for jobs that came first.');
}

function begun(machine: MachineFolder, job: JobFolder, order: JobOrder, grant: Grant): void {
  writeGrant(machine, job, grant);
  const said = describeGrant(grant, order.env);
  if (said !== null) tellQueued(job, said.level, said.text);
}

/** Its turn has come already: before a restart of ours, perhaps under an older runner. */
export function hasBegun(job: JobFolder): boolean {
  const state = readStanding(job)?.state ?? 'queued';
  return readGrant(job) !== null || state !== 'queued' || wasStarted(job.path) || wasStarted(job.setup);
}

function holdingOf(job: JobFolder): Holding {
  const grant = readGrant(job);
  const mayRunSetup = grant === null ? (readableOrder(job)?.setup ?? null) !== null : grant.setup !== null;
  return { id: job.id, name: nameOf(job), gpus: grant?.gpus ?? null, inSetup: mayRunSetup && !wasStarted(job.path) };
}

function nameOf(job: JobFolder): string {
  return readableOrder(job)?.name ?? job.id;
}

function neededSetup(machine: MachineFolder, { setup }: JobOrder): string | null {
  if (setup === null) return null;
  const hash = setupHash(setup, machine.workdir);
  return isSetUp(machine, hash) ? null : hash;
}

/** What each job that waits waits for, by its id. `entries`: the queue in its order. */
export function waitsOf(machine: MachineFolder, entries: readonly QueueEntry[]): ReadonlyMap<string, string> {
  const waiting = entries.filter(({ id }) => !hasBegun(jobFolder(machine, id)));
  const first = readChecked<FirstInLine>(machine.firstInLine, (value) => isFields(value) && isText(value['waitsFor']));
  return new Map(
    waiting.flatMap(({ id }, at): [string, string][] => {
      if (at > 0) return [[id, at === 1 ? `${nameOf(jobFolder(machine, waiting[0]?.id ?? id))}, which came first` : `${at} jobs that came first`]];
      return first !== 'damaged' && first?.id === id ? [[id, first.waitsFor]] : [];
    }),
  );
}

function once<T>(work: () => T): () => T {
  let done: { readonly value: T } | null = null;
  return () => {
    done ??= { value: work() };
    return done.value;
  };
}
