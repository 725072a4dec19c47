/** Opening the ledger's file: it is there whole or not at all, in our format, for its owner alone. */
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { systemErrorCode } from '../core/errors.ts';
import { applicationId } from './ledger-schema.ts';
import { damagedLedger, newerLedger } from './sqlite-error.ts';

/** How long a call waits for other processes' transactions, each of which takes milliseconds. */
const busyTimeoutMs = 20_000;

/** Opens the file, makes it where there is none, and brings an older format up to date. @throws GpuRunError bad-input when it is damaged or newer */
export function openLedgerFile(file: string, migrations: readonly string[]): DatabaseSync {
  if (!existsSync(file)) createLedgerFile(file, migrations);
  const db = openDatabase(file);
  try {
    if (readPragma(db, 'application_id') !== applicationId) throw damagedLedger(file, 'it does not carry our mark');
    if (readPragma(db, 'user_version') !== migrations.length) migrate(db, file, migrations);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Runs `act` as one transaction that no other process can come between. */
export function inTransaction<T>(db: DatabaseSync, act: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = act();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/**
 * Made under another name and then linked to its own: an empty or half-written file is thus always damage, and of two
 * processes that make it at the same moment, one wins.
 */
function createLedgerFile(file: string, migrations: readonly string[]): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `.ledger-${randomUUID()}`);
  try {
    closeSync(openSync(draft, 'wx', 0o600)); // SQLite gives its side files the same mode
    const db = openDatabase(draft);
    try {
      db.exec(`PRAGMA journal_mode = WAL; PRAGMA application_id = ${applicationId}`);
      migrate(db, draft, migrations);
    } finally {
      db.close();
    }
    linkSync(draft, file);
    syncFolder(folder);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST' || !existsSync(file)) throw error;
  } finally {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${draft}${suffix}`, { force: true });
  }
}

function migrate(db: DatabaseSync, file: string, migrations: readonly string[]): void {
  inTransaction(db, () => {
    const format = readPragma(db, 'user_version');
    if (format > migrations.length) throw newerLedger(file, format, migrations.length);
    for (const statements of migrations.slice(format)) db.exec(statements);
    db.exec(`PRAGMA user_version = ${migrations.length}`);
  });
}

function openDatabase(file: string): DatabaseSync {
  const db = new (loadSqlite().DatabaseSync)(file, { timeout: busyTimeoutMs });
  // Each commit is on the disk before it counts; `fullfsync` is what that takes on macOS.
  db.exec('PRAGMA synchronous = FULL; PRAGMA fullfsync = ON');
  return db;
}

function readPragma(db: DatabaseSync, name: 'application_id' | 'user_version'): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}

/** Without this a power cut could take the new name away again. Windows can't, and needn't, sync a folder. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The first releases of Node 24 print a warning when SQLite is loaded. It is meant for us, not for the user. */
function loadSqlite(): typeof import('node:sqlite') {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}
