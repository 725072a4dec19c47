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
  `
  ALTER TABLE machines ADD COLUMN never_made TEXT AS (record ->> '$.neverMade');
  ALTER TABLE machines ADD COLUMN provider TEXT AS (record ->> '$.provider');
  ALTER TABLE machines ADD COLUMN type TEXT AS (record ->> '$.offer.type');
  ALTER TABLE machines ADD COLUMN zone TEXT AS (record ->> '$.offer.zone');
  ALTER TABLE machines ADD COLUMN spot INTEGER AS (record ->> '$.offer.spot');
  ALTER TABLE machines ADD COLUMN template TEXT AS (record ->> '$.template');
  ALTER TABLE machines ADD COLUMN user TEXT AS (record ->> '$.user');
  ALTER TABLE machines ADD COLUMN branch TEXT AS (record ->> '$.branch');
  ALTER TABLE machines ADD COLUMN git_commit TEXT AS (record ->> '$.commit');
  ALTER TABLE machines ADD COLUMN launched_at REAL AS (record ->> '$.launchedAt');
  ALTER TABLE machines ADD COLUMN provider_created_at REAL AS (record ->> '$.ref.createdAt');
  ALTER TABLE machines ADD COLUMN ready_at REAL AS (record ->> '$.readyAt');
  ALTER TABLE machines ADD COLUMN ended_at REAL AS (record ->> '$.endedAt');
  ALTER TABLE machines ADD COLUMN deadline REAL AS (record ->> '$.deadline');
  ALTER TABLE machines ADD COLUMN access_kind TEXT AS (record ->> '$.access.kind');
  ALTER TABLE machines ADD COLUMN per_hour REAL AS (record ->> '$.offer.price.perHour');
  ALTER TABLE machines ADD COLUMN price_source TEXT AS (record ->> '$.offer.source');
  ALTER TABLE machines ADD COLUMN price_as_of REAL AS (record ->> '$.offer.asOf');
  ALTER TABLE machines ADD COLUMN minimum_seconds REAL AS (record ->> '$.billing.minimumSeconds');
  ALTER TABLE machines ADD COLUMN increment_seconds REAL AS (record ->> '$.billing.incrementSeconds');

  -- All that cost asks for, so that it is read from here alone.
  CREATE INDEX machine_bills ON machines (
    created_at, id, name, state, provider, type, zone, spot, template, user, branch, git_commit, launched_at, provider_created_at, ready_at,
    ended_at, deadline, access_kind, per_hour, price_source, price_as_of, minimum_seconds, increment_seconds, never_made
  ) WHERE never_made IS NULL;
  CREATE INDEX live_machines ON machines (created_at) WHERE state <> 'gone';
  CREATE INDEX machines_by_name ON machines (name, created_at);
  CREATE INDEX machines_by_time ON machines (created_at);

  ALTER TABLE jobs ADD COLUMN started_at REAL AS (job ->> '$.startedAt');
  ALTER TABLE jobs ADD COLUMN ended_at REAL AS (job ->> '$.endedAt');
  ALTER TABLE jobs ADD COLUMN user TEXT AS (job ->> '$.user');
  ALTER TABLE jobs ADD COLUMN branch TEXT AS (job ->> '$.branch');
  ALTER TABLE jobs ADD COLUMN git_commit TEXT AS (job ->> '$.commit');
  CREATE INDEX job_spans ON jobs (machine_id, started_at, ended_at, id, user, branch, git_commit) WHERE started_at IS NOT NULL;
  DROP INDEX jobs_of_machine;
  DROP INDEX jobs_of_machine_name;
  CREATE INDEX jobs_of_machine ON jobs (machine_id, created_at);
  CREATE INDEX jobs_of_machine_name ON jobs (machine_name, created_at);
  CREATE INDEX jobs_by_time ON jobs (created_at);
  `,
  `
  ALTER TABLE machines ADD COLUMN egress_per_gb REAL AS (record ->> '$.offer.egress.perGb');
  ALTER TABLE machines ADD COLUMN pulled TEXT AS (record ->> '$.pulled');
  DROP INDEX machine_bills;
  CREATE INDEX machine_bills ON machines (
    created_at, id, name, state, provider, type, zone, spot, template, user, branch, git_commit, launched_at, provider_created_at, ready_at,
    ended_at, deadline, access_kind, per_hour, price_source, price_as_of, minimum_seconds, increment_seconds, egress_per_gb, pulled, never_made
  ) WHERE never_made IS NULL;
  `,
  `
  ALTER TABLE machines ADD COLUMN begun_at REAL AS (record ->> '$.begunAt');
  DROP INDEX machine_bills;
  CREATE INDEX machine_bills ON machines (
    created_at, id, name, state, provider, type, zone, spot, template, user, branch, git_commit, launched_at, provider_created_at, ready_at, begun_at,
    ended_at, deadline, access_kind, per_hour, price_source, price_as_of, minimum_seconds, increment_seconds, egress_per_gb, pulled, never_made
  ) WHERE never_made IS NULL;
  `,
  `
  ALTER TABLE jobs ADD COLUMN share REAL AS ((job ->> '$.gpus.count') * 1.0 / (job ->> '$.gpus.of'));
  DROP INDEX job_spans;
  CREATE INDEX job_spans ON jobs (machine_id, started_at, ended_at, id, user, branch, git_commit, share) WHERE started_at IS NOT NULL;
  `,
  `
  ALTER TABLE jobs ADD COLUMN attempts_before INTEGER AS (json_array_length(job, '$.earlier'));
  CREATE INDEX jobs_tried_again ON jobs (id) WHERE attempts_before > 0;
  `,
];
