import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { migrations } from '../../../src/ledger/ledger-schema.ts';
import { openLedgerFile } from '../../../src/ledger/sqlite-file.ts';
import { openSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { refusal } from '../core/refusal.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-ledger-'));
  file = join(folder, 'ledger.sqlite');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A ledger with some hundred entries, closed. */
function writeLedger(): void {
  const ledger = openSqliteLedger(file, systemClock);
  for (let n = 0; n < 100; n += 1) ledger.open(someIntent(`m-${n}`, `m-${n}`));
  ledger.close();
}

function use(): void {
  const ledger = openSqliteLedger(file, systemClock);
  try {
    ledger.list();
    ledger.open(someIntent('new', 'new'));
  } finally {
    ledger.close();
  }
}

describe('a new ledger', () => {
  it('and its side files can be read by their owner alone, and nothing else is left beside it', () => {
    const ledger = openSqliteLedger(join(folder, 'a', 'b', 'ledger.sqlite'), systemClock);
    ledger.open(someIntent('m', 'm'));
    const names = readdirSync(join(folder, 'a', 'b'));
    expect(names.sort()).toEqual(['ledger.sqlite', 'ledger.sqlite-shm', 'ledger.sqlite-wal']);
    for (const name of names) expect(statSync(join(folder, 'a', 'b', name)).mode & 0o777, name).toBe(0o600);
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700);
    ledger.close();
  });

  it('is opened without a word on the terminal', () => {
    const program = `import { openSqliteLedger } from ${JSON.stringify(join(import.meta.dirname, '../../../src/ledger/sqlite-ledger.ts'))};
      openSqliteLedger(${JSON.stringify(file)}, { now: () => 1 }).close();`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('writes each commit through to the disk', () => {
    const db = openLedgerFile(file, migrations);
    expect(db.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
    expect(db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    db.close();
  });
});

describe('a ledger that is not as it should be', () => {
  const damages: Record<string, () => void> = {
    'is empty': () => truncateSync(file, 0),
    'lost its second half': () => truncateSync(file, Math.floor(statSync(file).size / 8192) * 4096),
    'has a header of noise': () => writeFileSync(file, Buffer.concat([Buffer.alloc(100, 0xa5), readFileSync(file).subarray(100)])),
    'has pages of noise': () => {
      const bytes = readFileSync(file);
      for (let at = 4096; at < bytes.length; at += 1) bytes[at] = (at * 31) & 0xff;
      writeFileSync(file, bytes);
    },
    'is a text file': () => writeFileSync(file, 'machines: none\n'),
    "is another program's database": () => {
      rmSync(file);
      const db = new DatabaseSync(file);
      db.exec('CREATE TABLE machines (id TEXT)');
      db.close();
    },
  };

  it.each(Object.keys(damages))('%s: refused with what to do, and left as it is', (name) => {
    writeLedger();
    damages[name]?.();
    const before = readFileSync(file);
    const { code, message, hints } = refusal(use);
    expect(code).toBe('bad-input');
    expect(message).toContain(file);
    expect(message).toContain('damaged');
    expect(hints.join('\n')).toMatch(/mv [^\n]*\n.*gpu-run reap/);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('was written by a newer gpu-run: refused, and left as it is', () => {
    writeLedger();
    const db = new DatabaseSync(file);
    db.exec(`PRAGMA user_version = ${migrations.length + 1}`);
    db.close();
    const { code, message, hints } = refusal(use);
    expect(code).toBe('bad-input');
    expect(message).toContain('newer gpu-run');
    expect(hints.join()).toContain('npm install');
    expect(existsSync(file)).toBe(true);
  });

  it('is a folder: refused', () => {
    mkdirSync(file);
    expect(refusal(use)).toMatchObject({ code: 'not-allowed', message: expect.stringContaining(file) });
  });

  it('lies below a file: refused', () => {
    writeFileSync(join(folder, 'plain'), '');
    file = join(folder, 'plain', 'ledger.sqlite');
    expect(refusal(use)).toMatchObject({ code: 'bad-input', hints: [expect.stringContaining('GPU_RUN_HOME')] });
  });
});

describe('an older ledger', () => {
  const newer = [...migrations, "UPDATE machines SET record = json_set(record, '$.colour', 'red')"];
  const coloursOf = (db: DatabaseSync) => db.prepare("SELECT DISTINCT record ->> 'colour' AS colour FROM machines").all();

  it('is brought up to date once, with what it holds', () => {
    writeLedger();
    openLedgerFile(file, newer).close();
    const db = openLedgerFile(file, [...newer.slice(0, -1), 'this would fail if it ran again']);
    expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: newer.length });
    expect(coloursOf(db)).toEqual([{ colour: 'red' }]);
    db.close();
  });

  it('stays as it was when that fails half-way', () => {
    writeLedger();
    expect(() => openLedgerFile(file, [...newer, 'no such statement'])).toThrow('no');
    const db = openLedgerFile(file, migrations);
    expect(coloursOf(db)).toEqual([{ colour: null }]);
    db.close();
  });

  it('can be copied away and opened elsewhere', () => {
    writeLedger();
    const copy = join(folder, 'copy.sqlite');
    copyFileSync(file, copy);
    const ledger = openSqliteLedger(copy, systemClock);
    expect(ledger.list()).toHaveLength(100);
    ledger.close();
  });
});
