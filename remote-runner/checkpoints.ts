/**
 * Notices when a job has written a checkpoint to its end. Nobody tells: what was given its name once it was written is complete at once;
 * else a group of files counts as complete when it has not changed for a while, the longer the longer it took to write. At the end of the
 * job, everything does.
 */
import type { FSWatcher } from 'node:fs';
import { join, relative } from 'node:path';
import { lookAtCheckpoints, type SeenFile, type SeenGroup } from './checkpoint-tree.ts';
import { hearCheckpoints } from './hear-checkpoints.ts';
import type { NewRecord } from './journal.ts';

export interface CheckpointWatch {
  /** Cheap to call often. `final`: nothing writes any more. Each checkpoint once; a warning, once, when something keeps them from ever being complete. */
  look(final: boolean): NewRecord[];
  /** One may be complete soon: look often. Else `onChange` is called when there is something to look at. */
  readonly isExpected: boolean;
  close(): void;
}

export interface CheckpointPlace {
  readonly workdir: string;
  /** Absolute. */
  readonly folder: string;
  /** null: the command has not started, what is there now is not its work. Else when it did, and what was told of until now. */
  readonly since: { readonly startedAt: number | null; readonly checkpointAt: number } | null;
  /** Something has changed: once, then not before the next look. Not heard of is what changes deeper than in the folders directly in there. */
  readonly onChange?: () => void;
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

interface Standing {
  signature: string;
  /** When this signature was first seen. */
  since: number;
  told: boolean;
  /** What is told of: signatures of files. The others belong to the next checkpoint. */
  known: ReadonlySet<string>;
  /** How it was when it began to wait for its completion, or was last looked at for what keeps it from that; null: it does not wait. */
  waiting: { readonly since: number; readonly files: readonly SeenFile[] } | null;
}

const lookEveryMs = 1_000;
/** Looking takes at most a fiftieth of one core. */
const restFactor = 50;
const settleMs = 1_500;
/** Of a small file: it is written and renamed within one tick of the file system's clock, and can't be told from one that was written in place. */
const shortSettleMs = 500;
const longestSettleMs = 30_000;
/** Of the time that writing has taken so far. */
const settleShare = 0.25;
/** Longer than anything settles, and than most checkpoints take to write. */
const restlessMs = 300_000;

export function watchCheckpoints({ workdir, folder, since, onChange = () => {}, now = () => performance.now() }: CheckpointPlace): CheckpointWatch {
  const standings = new Map<string, Standing>();
  const toldUntil = since === null ? 0 : Math.max(since.startedAt ?? 0, since.checkpointAt);
  let nextLook = 0;
  let isWarned = false;
  let isExpected = false;
  let ears: readonly FSWatcher[] = [];

  const close = () => {
    for (const ear of ears) ear.close();
    ears = [];
  };
  const listen = () => {
    if (ears.length === 0) ears = hearCheckpoints(workdir, folder, onHeard);
  };
  const onHeard = () => {
    if (ears.length === 0) return;
    close();
    onChange();
  };
  const lookAtGroup = (group: SeenGroup, at: number, isKnown: boolean): Standing => {
    const standing = standings.get(group.name);
    if (standing === undefined) {
      const old = group.files.filter(({ endedAt }) => isKnown || endedAt <= toldUntil);
      const fresh = { signature: group.signature, since: at, told: isKnown, known: signaturesOf(old), waiting: null };
      standings.set(group.name, fresh);
      return fresh;
    }
    if (standing.signature !== group.signature) Object.assign(standing, { signature: group.signature, since: at, told: false });
    return standing;
  };
  const tell = (group: SeenGroup, standing: Standing): NewRecord[] => {
    standing.told = true;
    standing.waiting = null;
    const files = freshOf(group, standing);
    standing.known = signaturesOf(group.files);
    if (files.length === 0) return []; // an old one was removed
    const [only] = files;
    const within = group.name === '' && files.length === 1 && only !== undefined ? only.path : group.name;
    return [
      {
        type: 'checkpoint',
        path: relative(workdir, join(folder, within)),
        bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
        beganAt: Math.min(...files.map(({ beganAt }) => beganAt)),
        endedAt: newest(files),
      },
    ];
  };
  const take = (at: number, isKnown: boolean): (readonly [SeenGroup, Standing])[] => {
    const begun = now();
    listen(); // first: what changes after the look is heard
    const groups = lookAtCheckpoints(folder);
    const tookMs = now() - begun;
    nextLook = at + Math.max(lookEveryMs, tookMs * restFactor);
    if (groups === null) return [];
    for (const name of standings.keys()) if (!groups.has(name)) standings.delete(name);
    return [...groups.values()].map((group) => [group, lookAtGroup(group, at, isKnown)] as const);
  };
  const warn = (at: number, untold: readonly (readonly [SeenGroup, Standing])[]): NewRecord[] => {
    for (const [group, standing] of untold) {
      standing.waiting ??= { since: at, files: group.files };
      if (isWarned || at - standing.waiting.since < restlessMs) continue;
      const restless = whatIsRestless(standing.waiting.files, group, standing);
      standing.waiting = null;
      if (restless === null) continue;
      isWarned = true;
      return [{ type: 'note', level: 'warn', text: restlessText(relative(workdir, join(folder, restless))) }];
    }
    return [];
  };
  if (since === null) take(now(), true);

  return {
    look(final) {
      const at = now();
      if (!final && at < nextLook) return [];
      const waiting = take(at, false).filter(([, { told }]) => !told);
      const complete = waiting.filter(([group, standing]) => final || at - standing.since >= settleFor(group, freshOf(group, standing)));
      isExpected = complete.length < waiting.length;
      const told = complete.flatMap(([group, standing]) => tell(group, standing));
      return [
        ...told,
        ...warn(
          at,
          waiting.filter(([, standing]) => !standing.told),
        ),
      ];
    },
    get isExpected() {
      return isExpected;
    },
    close,
  };
}

/** A file that is not as it was, where another one that is new has long been. null: there is none. */
function whatIsRestless(before: readonly SeenFile[], group: SeenGroup, standing: Standing): string | null {
  const signatures = signaturesOf(before);
  const paths = new Set(before.map(({ path }) => path));
  const changed = group.files.find(({ path, signature }) => paths.has(path) && !signatures.has(signature));
  const isOneDone = freshOf(group, standing).some(({ signature }) => signatures.has(signature));
  return changed !== undefined && isOneDone ? changed.path : null;
}

function restlessText(path: string): string {
  const why = `${path} goes on changing: as long as it does, what lies beside it does not count as a complete checkpoint, and is not fetched while the job runs`;
  return `${why}. If it belongs to no checkpoint, write it elsewhere, or give it a name that ends in .log.`;
}

function settleFor(group: SeenGroup, files: readonly SeenFile[]): number {
  if (group.isPlaced || (group.name === '' && files.length === 1 && files[0]?.isPlaced === true)) return 0;
  if (group.name === '' && files.length === 1 && files[0]?.mayBePlaced === true) return shortSettleMs;
  const wroteMs = files.length === 0 ? 0 : newest(files) - Math.min(...files.map(({ beganAt }) => beganAt));
  return Math.min(longestSettleMs, Math.max(settleMs, wroteMs * settleShare));
}

function freshOf({ files }: SeenGroup, { known }: Standing): SeenFile[] {
  return files.filter(({ signature }) => !known.has(signature));
}

function signaturesOf(files: readonly SeenFile[]): ReadonlySet<string> {
  return new Set(files.map(({ signature }) => signature));
}

function newest(files: readonly SeenFile[]): number {
  return files.reduce((latest, { endedAt }) => Math.max(latest, endedAt), 0);
}
