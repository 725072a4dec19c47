/**
 * The ledger's tables. Each entry is one JSON document, exactly as `ledger.ts` describes it; what is searched for
 * is a column computed from it, so that nothing is stored twice.
 */

/** Marks a SQLite file as ours, whatever it is called: "gpur". */
export const applicationId = 0x67707572;

/**
 * The n-th entry takes a file from format n to n+1 (SQLite's `user_version`). Entries that were released are never
 * edited: a changed shape is a new entry. A field that entries gain is added to the old ones here, by `json_set`.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE machines (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL CHECK (json_valid(record)),
    holder TEXT CHECK (json_valid(holder)),
    name TEXT NOT NULL AS (record ->> 'name'),
    state TEXT NOT NULL AS (record ->> 'state'),
    created_at INTEGER NOT NULL AS (record ->> 'createdAt')
  ) STRICT;
  CREATE UNIQUE INDEX one_live_machine_per_name ON machines (name) WHERE state <> 'gone';

  CREATE TABLE facts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    machine_id TEXT NOT NULL REFERENCES machines (id),
    at INTEGER NOT NULL,
    fact TEXT NOT NULL CHECK (json_valid(fact))
  ) STRICT;
  CREATE INDEX facts_of_machine ON facts (machine_id);
  CREATE TRIGGER facts_stay BEFORE DELETE ON facts BEGIN SELECT raise(ABORT, 'facts are never deleted'); END;
  CREATE TRIGGER facts_keep BEFORE UPDATE ON facts BEGIN SELECT raise(ABORT, 'facts are never changed'); END;

  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    job TEXT NOT NULL CHECK (json_valid(job)),
    machine_id TEXT NOT NULL AS (job ->> 'machineId'),
    machine_name TEXT NOT NULL AS (job ->> 'machineName'),
    created_at INTEGER NOT NULL AS (job ->> 'createdAt')
  ) STRICT;
  CREATE INDEX jobs_of_machine ON jobs (machine_id);
  CREATE INDEX jobs_of_machine_name ON jobs (machine_name);
  `,
];
