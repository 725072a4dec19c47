/** What `cost` reads: from indexes that hold all it asks for, so that no entry is read or parsed. `ledger-schema.ts` has the indexes. */
import type { DatabaseSync } from 'node:sqlite';
import { plainBilling } from '../core/billing.ts';
import type { BillFilter, JobSpan, MachineBill, MachineEntryState } from './ledger.ts';

/** A minimum or an increment is billed beyond the end, by no provider for longer. */
const longestIncrementMs = 86_400_000;
/** Later than anything. */
const never = Number.MAX_SAFE_INTEGER;

export const billQuery = `
  SELECT created_at, id, name, state, provider, type, zone, spot, template, user, branch, git_commit, launched_at, provider_created_at, ready_at,
    ended_at, deadline, access_kind, per_hour, price_source, price_as_of, minimum_seconds, increment_seconds
  FROM machines INDEXED BY machine_bills
  WHERE never_made IS NULL AND created_at < :until AND ifnull(ended_at, ${never}) >= :since
  ORDER BY created_at`;

export const spanQuery = `
  SELECT machine_id, started_at, ended_at, id, user, branch, git_commit
  FROM jobs INDEXED BY job_spans
  WHERE started_at IS NOT NULL AND started_at < :until AND ifnull(ended_at, ${never}) >= :since
  ORDER BY machine_id, started_at`;

export function billQueries(db: DatabaseSync) {
  return {
    bills: ({ since = 0, until = never }: BillFilter = {}): MachineBill[] =>
      db
        .prepare(billQuery)
        .all({ since: since - longestIncrementMs, until })
        .map(billOf),
    jobSpans: ({ since = 0, until = never }: BillFilter = {}): JobSpan[] => db.prepare(spanQuery).all({ since, until }).map(spanOf),
  };
}

type Row = Readonly<Record<string, unknown>>;

function billOf(row: Row): MachineBill {
  const minimumSeconds = numberOr(row['minimum_seconds'], plainBilling.minimumSeconds);
  const incrementSeconds = numberOr(row['increment_seconds'], plainBilling.incrementSeconds);
  return {
    id: String(row['id']),
    name: String(row['name']),
    state: String(row['state']) as MachineEntryState,
    provider: String(row['provider']),
    type: String(row['type']),
    zone: textOrNull(row['zone']),
    spot: row['spot'] === 1,
    template: textOrNull(row['template']),
    user: String(row['user']),
    branch: textOrNull(row['branch']),
    commit: textOrNull(row['git_commit']),
    createdAt: Number(row['created_at']),
    launchedAt: numberOr(row['launched_at'], null),
    providerCreatedAt: numberOr(row['provider_created_at'], null),
    readyAt: numberOr(row['ready_at'], null),
    endedAt: numberOr(row['ended_at'], null),
    deadline: numberOr(row['deadline'], Number(row['created_at'])),
    borrowed: row['access_kind'] === 'openssh',
    rule: { minimumSeconds, incrementSeconds },
    price: { perHour: numberOr(row['per_hour'], 0), currency: 'USD' },
    priceSource: String(row['price_source'] ?? ''),
    priceAsOf: numberOr(row['price_as_of'], Number(row['created_at'])),
  };
}

function spanOf(row: Row): JobSpan {
  return {
    id: String(row['id']),
    machineId: String(row['machine_id']),
    startedAt: Number(row['started_at']),
    endedAt: numberOr(row['ended_at'], null),
    user: String(row['user']),
    branch: textOrNull(row['branch']),
    commit: textOrNull(row['git_commit']),
  };
}

function numberOr<Other>(value: unknown, other: Other): number | Other {
  return typeof value === 'number' ? value : other;
}

function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}
