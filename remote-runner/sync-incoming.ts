/**
 * Where the content of a push goes: to a hidden name beside its place, and from there, whole and verified, to its own. May import
 * protocol and `node:`.
 */
import { chmodSync, closeSync, constants, fchmodSync, ftruncateSync, futimesSync, openSync, renameSync, rmSync } from 'node:fs';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { ChunkListBuilder } from '../src/protocol/chunk-list.ts';
import type { Told } from '../src/protocol/content-records.ts';
import { FrameError } from '../src/protocol/frame.ts';
import type { Landing, OpenLanding } from '../src/protocol/sync-content.ts';
import { hashing } from './hashing.ts';
import { type Applying, makeWay, temporaryFor, trustNothing } from './sync-apply.ts';
import { errorCode, look } from './sync-disk.ts';
import { keepsPart, type Large, openBase, type PlacementDue, partFor } from './sync-large.ts';
import { writeAll } from './write-all.ts';

export interface Incoming {
  /** It lies in its place, looking like that. */
  placed(due: PlacementDue, told: Told, fingerprint: string | null): void;
  /** The machine has an output in its place, which stays. */
  leftAlone(due: PlacementDue, told: Told): void;
  /** The laptop has given it up. */
  gone(due: PlacementDue): void;
}

export function createIncoming(applying: Applying, large: Large, incoming: Incoming): Landing<PlacementDue> {
  /** Modes that a file does not get by being made with them: the umask, or a default ACL. */
  const cut = new Set<number>();
  /** It can be gone on with once: then its list says no more what is there. */
  let part = large.part;
  const settle = (due: PlacementDue, temporary: string, told: Told) => {
    const { entry, replaces } = due.placement;
    if (!makeWay(entry.path, replaces, applying)) {
      rmSync(temporary);
      incoming.leftAlone(due, told);
      return;
    }
    const absolute = applying.workdir.absolute(entry.path);
    renameSync(temporary, absolute);
    let seen = look(absolute);
    if (seen?.kind === 'file' && seen.mode !== entry.mode) {
      cut.add(entry.mode);
      chmodSync(absolute, entry.mode);
      seen = look(absolute);
    }
    incoming.placed(due, told, seen?.fingerprint ?? null);
  };
  const whole = (due: PlacementDue, bytes: Uint8Array, told: Told) => {
    const landing = open(due);
    try {
      landing.write(bytes);
      landing.place(told, null);
    } finally {
      landing.close();
    }
  };
  const open = (due: PlacementDue): OpenLanding => {
    const { entry } = due.placement;
    const isPart = keepsPart(entry.size);
    const known = large.bases.get(due.index);
    const kept = isPart && part?.path === entry.path ? part.list : null;
    if (kept !== null) part = null;
    const hidden = temporaryFor(entry.path, applying);
    const temporary = isPart ? partFor(entry.path, applying) : hidden;
    if (isPart) large.notePart(entry.path);
    const base = known === undefined ? null : openBase(known);
    let fd: number | null = kept === null ? makeFile(temporary, isPart ? 0o600 : entry.mode) : openSync(temporary, constants.O_WRONLY | constants.O_NOFOLLOW);
    let [size, isLeft, isPlaced] = [0, isPart, false];
    const write = (bytes: Uint8Array) => {
      try {
        if (size === 0 && kept !== null) ftruncateSync(fd as number); // the laptop does not go on behind it
        writeAll(fd as number, bytes, size);
      } catch (error) {
        isLeft = false; // a disk that is full
        throw error;
      }
      size += bytes.length;
    };
    const keep = (list: ChunkListBuilder) => {
      ftruncateSync(fd as number, list.size);
      size = list.size;
      return list;
    };
    return {
      write,
      ...(base === null ? {} : { base }),
      ...(kept === null ? {} : { keep: () => keep(kept) }),
      place: (told, chunks) => {
        const open = fd as number;
        if (isPart || cut.has(entry.mode)) fchmodSync(open, entry.mode);
        futimesSync(open, Date.now() / 1000, entry.mtime / 1e6);
        fd = null;
        closeSync(open);
        settle(due, temporary, told);
        isPlaced = true;
        if (isPart) large.forgetPart();
        if (chunks !== null) large.memory.keep(told.id, chunks.bytes);
      },
      close: () => {
        const isOpen = fd !== null;
        if (fd !== null) closeSync(fd);
        fd = null;
        base?.close();
        if (!isPlaced && !(isOpen && isLeft && size > 0)) rmSync(temporary, { force: true });
      },
    };
  };
  return {
    hashing,
    begin: () => trustNothing(applying),
    pause: yieldToOthers,
    whole,
    open,
    absent: (due, why) => {
      if (why === 'same') throw new FrameError("a push can't leave a file to us that it was asked for");
      incoming.gone(due);
    },
  };
}

function makeFile(temporary: string, mode: number): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    return openSync(temporary, flags, mode);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    rmSync(temporary, { force: true }); // of a push that was killed
    return openSync(temporary, flags, mode);
  }
}
