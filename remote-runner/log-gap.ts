/**
 * What of a job's log is gone from the disk. It is written down before the first byte goes, so that whoever has read bytes and
 * finds no gap there afterwards has read what was printed.
 */
import { existsSync } from 'node:fs';
import type { LogGap } from '../src/protocol/log.ts';
import { readText, writeDurably } from './durable.ts';
import type { LogFiles } from './machine-folder.ts';

/** null: all is there. */
export function readGap({ gap }: LogFiles): LogGap | null {
  const [, from, to] = /^\{"from":(\d{1,15}),"to":(\d{1,15})\}$/.exec((existsSync(gap) ? readText(gap) : null) ?? '') ?? [];
  return from === undefined ? null : { from: Number(from), to: Number(to) };
}

export function writeGap({ gap }: LogFiles, { from, to }: LogGap): void {
  writeDurably(gap, JSON.stringify({ from, to }));
}
