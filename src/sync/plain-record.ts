/** What pushes without a runner placed on a machine, remembered on this computer: there is nobody there to do so. May import core. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PlainFact, PlainRecord } from './plain-plan.ts';

/** By source. */
export type PlainRecords = Readonly<Record<string, PlainRecord>>;

const version = 1;

/** `machine`: what tells it from all others. */
export function plainRecordFile(folder: string, machine: string): string {
  return join(folder, `plain-${createHash('sha256').update(machine).digest('hex').slice(0, 32)}.json`);
}

/** A lost or damaged one is empty: nothing that lies there counts as ours then, so nothing is deleted. */
export function loadPlainRecords(file: string): PlainRecords {
  try {
    const saved = JSON.parse(readFileSync(file, 'utf8')) as { version: unknown; sources: [string, [string, PlainFact[]][]][] };
    return saved.version === version ? Object.fromEntries(saved.sources.map(([source, placed]) => [source, new Map(placed)])) : {};
  } catch {
    return {};
  }
}

/** Atomic. @throws the system's error: without it, what is placed now could not be told from what the machine makes */
export function savePlainRecords(file: string, records: PlainRecords): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  try {
    const sources = Object.entries(records).map(([source, placed]) => [source, [...placed]]);
    writeFileSync(temporary, JSON.stringify({ version, sources }), { mode: 0o600, flush: true });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
