import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/core/clock.ts';
import type { Access, MachineRef } from '../../../src/core/machine.ts';
import { applyFact, type MachineRecord, recordOf } from '../../../src/ledger/apply-fact.ts';
import type { MachineFact, MachineIntent } from '../../../src/ledger/ledger.ts';
import { openSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts';
import { someIntent } from '../../contract/ledger-intent.ts';

const access: Access = { kind: 'own', host: '127.0.0.1', port: 1, user: 'me', hostKeys: [] };
const ref: MachineRef = { provider: 'local', id: 'm', name: 'm', labels: {}, createdAt: null, data: {} };

const anyFact: fc.Arbitrary<MachineFact> = fc.oneof(
  fc.constant<MachineFact>({ fact: 'launched', ref }),
  fc.constant<MachineFact>({ fact: 'ready', access }),
  fc.constant<MachineFact>({ fact: 'seen' }),
  fc.constant<MachineFact>({ fact: 'kept' }),
  fc.string().map((reason): MachineFact => ({ fact: 'never-made', code: 'quota', reason })),
  fc.nat().map((deadline): MachineFact => ({ fact: 'deadline', deadline })),
  fc.string().map((reason): MachineFact => ({ fact: 'ending', reason })),
  fc.record({ reason: fc.string(), leftovers: fc.array(fc.string()) }).map((gone): MachineFact => ({ fact: 'gone', ...gone })),
);

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-ledger-'));
  file = join(folder, 'ledger.sqlite');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the table of facts', () => {
  it('gives the entries again when it is read from its beginning', () => {
    let now = 0;
    const clock: Clock = { now: () => (now += 7), sleep: () => Promise.resolve() };
    const ledger = openSqliteLedger(file, clock);
    let n = 0;
    fc.assert(
      fc.property(fc.array(anyFact, { maxLength: 12 }), (facts) => {
        const id = `m-${(n += 1)}`;
        ledger.open(someIntent(id, id));
        for (const fact of facts) ledger.note(id, fact);
      }),
      { numRuns: 20 },
    );
    const entries = new Map(ledger.list().map(({ holder: _, ...record }) => [record.id, record]));
    ledger.close();
    const rebuilt = new Map<string, MachineRecord>();
    for (const { machine_id: id, at, fact } of readFacts()) {
      const before = rebuilt.get(id);
      if (fact.fact === 'opened') rebuilt.set(id, recordOf(fact.intent, at));
      else if (before !== undefined) rebuilt.set(id, applyFact(before, fact, at));
    }
    expect(rebuilt.size).toBe(20);
    expect(Object.fromEntries(rebuilt)).toEqual(Object.fromEntries(entries));
  });

  it('only grows', () => {
    const ledger = openSqliteLedger(file, { now: () => 1, sleep: () => Promise.resolve() });
    ledger.open(someIntent('m', 'm'));
    ledger.close();
    const db = new DatabaseSync(file);
    expect(() => db.exec("UPDATE facts SET fact = '{}'")).toThrow('never changed');
    expect(() => db.exec('DELETE FROM facts')).toThrow('never deleted');
    db.close();
  });

  it('has no place for a second living machine of one name, whoever writes it', () => {
    openSqliteLedger(file, { now: () => 1, sleep: () => Promise.resolve() }).close();
    const db = new DatabaseSync(file);
    const insert = db.prepare('INSERT INTO machines (id, record) VALUES (?, ?)');
    const record = (state: string) => JSON.stringify({ name: 'cats', state, createdAt: 1 });
    insert.run('a', record('gone'));
    insert.run('b', record('ready'));
    expect(() => insert.run('c', record('intent'))).toThrow('UNIQUE');
    db.close();
  });
});

function readFacts() {
  type Opened = { readonly fact: 'opened'; readonly intent: Omit<MachineIntent, 'holder'> };
  const db = new DatabaseSync(file);
  const rows = db.prepare('SELECT machine_id, at, fact FROM facts ORDER BY seq').all() as { machine_id: string; at: number; fact: string }[];
  db.close();
  return rows.map((row) => ({ ...row, fact: JSON.parse(row.fact) as MachineFact | Opened }));
}
