/**
 * Zones that were out of stock a moment ago. Kept in a file, so that the next command knows as well. Two commands that write at once
 * may lose one entry: then one zone is tried again, no more.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../../core/clock.ts';
import type { Place } from './catalogue.ts';
import { gpuNameOf } from './gpu-names.ts';

const coolForMs = 30 * 60_000;

export interface CoolZones {
  /** Never throws. */
  add(place: Place): void;
  has(place: Place): boolean;
}

/** `cache`: a folder, made when something is written. */
export function coolZones(cache: string, clock: Clock): CoolZones {
  const file = join(cache, 'gcp-out-of-stock.json');
  return {
    add(place) {
      const entries = { ...live(read(file), clock.now()), [keyOf(place)]: clock.now() + coolForMs };
      try {
        mkdirSync(cache, { recursive: true, mode: 0o700 });
        const next = `${file}.${process.pid}.new`;
        writeFileSync(next, JSON.stringify(entries), { mode: 0o600 });
        renameSync(next, file);
      } catch {
        // A full disk or a read-only folder: the zone is tried again, no more.
      }
    },
    has: (place) => Object.hasOwn(live(read(file), clock.now()), keyOf(place)),
  };
}

function keyOf({ project, zone, gpu }: Place): string {
  return `${project}/${zone}/${gpu === null ? '-' : (gpuNameOf(gpu) ?? gpu)}`;
}

/** Milliseconds since the epoch until which each is cool. What is no file of ours counts as empty. */
function read(file: string): Readonly<Record<string, unknown>> {
  try {
    const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof content === 'object' && content !== null && !Array.isArray(content) ? (content as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

/** An entry that lasts longer than any we write comes from a clock that was wrong. */
function live(entries: Readonly<Record<string, unknown>>, now: number): Readonly<Record<string, number>> {
  const still = Object.entries(entries).filter((entry): entry is [string, number] => {
    const until = entry[1];
    return typeof until === 'number' && until > now && until <= now + coolForMs;
  });
  return Object.fromEntries(still);
}
