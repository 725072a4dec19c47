/** A ledger file of the first released format, made here with that format's own statements: it stays readable, and is as fast afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrations } from '../../../src/ledger/ledger-schema.ts';
import { openSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts';
import { reportCost } from '../../../src/workflows/report-cost.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-old-ledger-'));
  file = join(folder, 'ledger.sqlite');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const formatOne = `
  PRAGMA journal_mode = WAL; PRAGMA application_id = 1735423346;
  CREATE TABLE machines (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, record TEXT NOT NULL CHECK (json_valid(record)),
    holder TEXT CHECK (json_valid(holder)), name TEXT NOT NULL AS (record ->> 'name'), state TEXT NOT NULL AS (record ->> 'state'),
    created_at INTEGER NOT NULL AS (record ->> 'createdAt')
  ) STRICT;
  CREATE UNIQUE INDEX one_live_machine_per_name ON machines (name) WHERE state <> 'gone';
  CREATE TABLE facts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, machine_id TEXT NOT NULL REFERENCES machines (id), at INTEGER NOT NULL,
    fact TEXT NOT NULL CHECK (json_valid(fact))
  ) STRICT;
  CREATE INDEX facts_of_machine ON facts (machine_id);
  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job TEXT NOT NULL CHECK (json_valid(job)),
    machine_id TEXT NOT NULL AS (job ->> 'machineId'), machine_name TEXT NOT NULL AS (job ->> 'machineName'),
    created_at INTEGER NOT NULL AS (job ->> 'createdAt')
  ) STRICT;
  CREATE INDEX jobs_of_machine ON jobs (machine_id);
  CREATE INDEX jobs_of_machine_name ON jobs (machine_name);
  PRAGMA user_version = 1;`;

const hour = 3_600_000;
const start = Date.UTC(2026, 8, 1);

function oldMachine(id: string, changes: Record<string, unknown>): Record<string, unknown> {
  const price = { perHour: 2, currency: 'USD' };
  const offer = { provider: 'gcp', region: 'r', zone: 'r-a', type: 'g2', gpu: null, spot: true, price, asOf: start - 60_000, source: 'list', available: null };
  const times = { createdAt: start, readyAt: start + 60_000, endedAt: start + 3 * hour, asOf: start, deadline: start + 4 * hour };
  const ref = { provider: 'gcp', id, name: id, labels: {}, createdAt: start + 30_000, data: {} };
  const intent = { id, name: id, provider: 'gcp', owner: 'o', labels: {}, requestId: 'x', offer, template: 'gcp-l4', idleSeconds: null, budgetUsd: null };
  return { ...intent, ...times, ref, access: null, forOneJob: false, user: 'ada', branch: 'main', state: 'gone', endReason: 'down', leftovers: [], ...changes };
}

function writeOldLedger(): void {
  const db = new DatabaseSync(file);
  db.exec(formatOne);
  const add = db.prepare('INSERT INTO machines (id, record) VALUES (?, ?)');
  const refused = { readyAt: null, endedAt: start, neverMade: 'no-capacity', ref: null };
  // A time with a fraction: what was written once must not keep the file from being opened.
  const live = { state: 'ready', endedAt: null, deadline: start + 4 * hour + 0.5 };
  for (const [id, changes] of Object.entries({ 'cats-1': {}, 'cats-2': refused, 'dogs-1': live })) add.run(id, JSON.stringify(oldMachine(id, changes)));
  const times = { createdAt: start, startedAt: start + hour, endedAt: start + 2 * hour, asOf: start };
  const job = { id: 'job-1', machineId: 'cats-1', machineName: 'cats-1', command: 'true', state: 'ended', end: null, attempts: 1, user: 'ada', branch: null };
  db.prepare('INSERT INTO jobs (id, job) VALUES (?, ?)').run('job-1', JSON.stringify({ ...job, ...times }));
  db.close();
}

test('opens, keeps every entry, costs what it cost before, and takes new ones', () => {
  writeOldLedger();
  const ledger = openSqliteLedger(file, { now: () => start + 10 * hour, sleep: () => Promise.resolve() });
  try {
    expect(ledger.list().map(({ id, state }) => [id, state])).toEqual([
      ['dogs-1', 'ready'],
      ['cats-2', 'gone'],
      ['cats-1', 'gone'],
    ]);
    expect(ledger.get('cats-1')).toMatchObject({ ...oldMachine('cats-1', {}), holder: null });
    expect(ledger.bills()).toMatchObject([
      { id: 'cats-1', provider: 'gcp', type: 'g2', zone: 'r-a', spot: true, template: 'gcp-l4', commit: null, launchedAt: null, price: { perHour: 2 } },
      { id: 'dogs-1', state: 'ready', endedAt: null, rule: { minimumSeconds: 0, incrementSeconds: 0 }, priceSource: 'list', priceAsOf: start - 60_000 },
    ]);
    expect(ledger.jobSpans()).toEqual([
      { id: 'job-1', machineId: 'cats-1', startedAt: start + hour, endedAt: start + 2 * hour, user: 'ada', branch: null, commit: null, share: 1 },
    ]);
    const context = { ledger, clock: { now: () => start + 10 * hour, sleep: () => Promise.resolve() } };
    expect(reportCost({ by: 'machine', since: null }, context).items.map(({ key, usd }) => [key, Math.round(usd * 100)])).toEqual([
      ['dogs-1 (dogs-1)', 800],
      ['cats-1 (cats-1)', 600],
    ]);
    ledger.note('dogs-1', { fact: 'gone', reason: 'down', leftovers: [] });
    expect(ledger.list({ live: true })).toEqual([]);
  } finally {
    ledger.close();
  }
  const db = new DatabaseSync(file);
  expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: migrations.length });
  expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  db.close();
});

test('the first format is still made as it was released', () => {
  writeOldLedger();
  const db = new DatabaseSync(file);
  const made = new DatabaseSync(':memory:');
  made.exec(migrations[0] ?? '');
  const shape = (of: DatabaseSync) =>
    of
      .prepare("SELECT name, sql FROM sqlite_master WHERE type <> 'trigger' AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name")
      .all()
      .map(({ name, sql }) => [name, String(sql).replace(/\s+/g, ' ')]);
  expect(shape(made)).toEqual(shape(db));
  db.close();
  made.close();
});
