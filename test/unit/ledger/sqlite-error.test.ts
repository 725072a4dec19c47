import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { explainLedgerError } from '../../../src/ledger/sqlite-error.ts';
import { openSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts';
import { someIntent } from '../../contract/ledger-intent.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-ledger-'));
  file = join(folder, 'ledger.sqlite');
  openSqliteLedger(file, systemClock).close();
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What SQLite throws, explained. */
function explained(act: (db: DatabaseSync) => void, options: { readOnly?: boolean } = {}): unknown {
  const db = new DatabaseSync(file, { timeout: 0, ...options });
  try {
    act(db);
  } catch (error) {
    return explainLedgerError(error, file);
  } finally {
    db.close();
  }
  throw new Error('nothing was thrown');
}

it('no space left is disk-full', () => {
  const fill = (db: DatabaseSync) => {
    db.exec('PRAGMA max_page_count = 20; CREATE TABLE filler (bytes BLOB)');
    for (let n = 0; n < 100; n += 1) db.exec('INSERT INTO filler VALUES (zeroblob(4096))');
  };
  expect(explained(fill)).toMatchObject({ code: 'disk-full', message: expect.stringContaining(file) });
});

it('a file that may only be read is not-allowed', () => {
  expect(explained((db) => db.exec('DELETE FROM jobs'), { readOnly: true })).toMatchObject({ code: 'not-allowed' });
});

it('a lock that is not given back is a conflict that may be tried again', () => {
  const other = new DatabaseSync(file);
  other.exec('BEGIN IMMEDIATE');
  expect(explained((db) => db.exec('BEGIN IMMEDIATE'))).toMatchObject({ code: 'conflict', retry: 'same' });
  other.close();
});

it('an entry that is no JSON any more is damage', () => {
  const ledger = openSqliteLedger(file, systemClock);
  ledger.open(someIntent('m-1', 'm'));
  ledger.close();
  const bytes = readFileSync(file);
  const at = bytes.indexOf('{"id":"m-1"');
  expect(at).toBeGreaterThan(0);
  bytes.write('!', at);
  writeFileSync(file, bytes);
  expect(() => openSqliteLedger(file, systemClock).get('m-1')).toThrow(/is damaged/);
});

it('anything else stays what it is', () => {
  const bug = new TypeError('a bug');
  expect(explainLedgerError(bug, file)).toBe(bug);
  expect(explained((db) => db.exec('no such statement'))).toMatchObject({ code: 'ERR_SQLITE_ERROR' });
});
