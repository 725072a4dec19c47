/** Which rows the everyday queries read: never a whole table, and for `cost` no entry at all. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { migrations } from '../../../src/ledger/ledger-schema.ts';
import { openLedgerFile } from '../../../src/ledger/sqlite-file.ts';
import { openLedgerOn } from '../../../src/ledger/sqlite-ledger.ts';
import { someIntent } from '../../contract/ledger-intent.ts';

let folder: string;
let db: DatabaseSync;
let ledger: Ledger;
const asked: string[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-plans-'));
  db = openLedgerFile(join(folder, 'ledger.sqlite'), migrations);
  const { prepare } = db;
  db.prepare = (sql: string): StatementSync => {
    asked.push(sql);
    return prepare.call(db, sql);
  };
  ledger = openLedgerOn(db, { now: () => 1, sleep: () => Promise.resolve() });
  ledger.open(someIntent('m', 'm'));
});
afterAll(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

/** SQLite's own words for how it would read what `act` asks. */
function plansOf(act: () => unknown): string[] {
  asked.length = 0;
  act();
  return asked.splice(0).flatMap((sql) =>
    db
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all(valuesFor(sql))
      .map(({ detail }) => String(detail)),
  );
}

function valuesFor(sql: string): Record<string, number | string> {
  return Object.fromEntries([...sql.matchAll(/:(\w+)/g)].map(([, name = '']) => [name, 1]));
}

test.each<[string, () => unknown, readonly string[]]>([
  ['machines that live', () => ledger.list({ live: true }), ['SCAN machines USING INDEX live_machines']],
  ['the live one of a name', () => ledger.list({ name: 'm', live: true }), ['SEARCH machines USING INDEX one_live_machine_per_name (name=?)']],
  ['all of a name', () => ledger.list({ name: 'm' }), ['SEARCH machines USING INDEX machines_by_name (name=?)']],
  ['the latest orders', () => ledger.list({ since: 5 }), ['SEARCH machines USING INDEX machines_by_time (created_at>?)']],
  ['jobs of a machine', () => ledger.listJobs({ machineId: 'm', limit: 20 }), ['SEARCH jobs USING INDEX jobs_of_machine (machine_id=?)']],
  ['jobs of a name', () => ledger.listJobs({ machineName: 'm' }), ['SEARCH jobs USING INDEX jobs_of_machine_name (machine_name=?)']],
  ['the newest jobs', () => ledger.listJobs({ limit: 20 }), ['SCAN jobs USING INDEX jobs_by_time']],
])('%s', (_what, act, plan) => {
  expect(plansOf(act)).toEqual(plan);
});

/** SQLite's program for what `act` asks. */
function programsOf(act: () => unknown): Record<string, unknown>[] {
  asked.length = 0;
  act();
  // Of the few jobs that were started again the entries are read.
  const queries = asked.splice(0).filter((sql) => !sql.includes('jobs_tried_again'));
  return queries.flatMap((sql) => db.prepare(`EXPLAIN ${sql}`).all(valuesFor(sql)));
}

test.each<[string, () => unknown]>([
  ['bills', () => ledger.bills()],
  ['spans of jobs', () => ledger.jobSpans()],
])('%s: from an index alone, no entry is fetched and none is parsed', (_what, act) => {
  const program = programsOf(act);
  expect(program.filter(({ opcode }) => String(opcode).endsWith('Func'))).toEqual([]);
  const tables = program.filter(({ opcode, p4 }) => opcode === 'OpenRead' && !String(p4).startsWith('k(')).map(({ p1 }) => p1);
  expect(tables).toHaveLength(1);
  expect(program.filter(({ opcode, p1 }) => opcode === 'Column' && tables.includes(p1))).toEqual([]);
  expect(program.filter(({ opcode }) => opcode === 'ResultRow')).toHaveLength(1);
});

test('a column of the entry itself would be noticed', () => {
  expect(programsOf(() => ledger.list()).some(({ opcode, p1 }) => opcode === 'Column' && p1 === 0)).toBe(true);
});

test('attempts before the last one are looked for among the jobs that have some', () => {
  expect(plansOf(() => ledger.jobSpans())[0]).toBe('SCAN jobs USING INDEX jobs_tried_again');
});
