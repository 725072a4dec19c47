/**
 * Where the content of a push goes: to a hidden name beside its place, and from there, whole and verified, to its own. May import
 * protocol and `node:`.
 */
import { chmodSync, closeSync, constants, fchmodSync, futimesSync, openSync, renameSync, rmSync } from 'node:fs';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Told } from '../src/protocol/content-records.ts';
import { FrameError } from '../src/protocol/frame.ts';
import type { FileEntry } from '../src/protocol/sync.ts';
import type { FileDue, Landing, OpenLanding } from '../src/protocol/sync-content.ts';
import { hashing } from './hashing.ts';
import { type Applying, makeWay, temporaryFor, trustNothing } from './sync-apply.ts';
import { errorCode, look } from './sync-disk.ts';
import type { Placement } from './sync-plan.ts';
import { writeAll } from './write-all.ts';

export interface PlacementDue extends FileDue {
  readonly placement: Placement & { readonly entry: FileEntry };
}

export interface Incoming {
  /** It lies in its place, looking like that. */
  placed(due: PlacementDue, told: Told, fingerprint: string | null): void;
  /** The machine has an output in its place, which stays. */
  leftAlone(due: PlacementDue, told: Told): void;
  /** The laptop has given it up. */
  gone(due: PlacementDue): void;
}

export function createIncoming(applying: Applying, incoming: Incoming): Landing<PlacementDue> {
  /** Modes that a file does not get by being made with them: the umask, or a default ACL. */
  const cut = new Set<number>();
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
    const temporary = temporaryFor(entry.path, applying);
    let fd: number | null = makeFile(temporary, entry.mode);
    let [size, isPlaced] = [0, false];
    return {
      write: (bytes) => {
        writeAll(fd as number, bytes, size);
        size += bytes.length;
      },
      place: (told) => {
        const open = fd as number;
        if (cut.has(entry.mode)) fchmodSync(open, entry.mode);
        futimesSync(open, Date.now() / 1000, entry.mtime / 1e6);
        fd = null;
        closeSync(open);
        settle(due, temporary, told);
        isPlaced = true;
      },
      close: () => {
        if (fd !== null) closeSync(fd);
        fd = null;
        if (!isPlaced) rmSync(temporary, { force: true });
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
