/** What `cost` reads: from indexes that hold all it asks for, so that no entry is read or parsed. `ledger-schema.ts` has the indexes. */
import type { DatabaseSync } from 'node:sqlite';
import { plainBilling } from '../core/billing.ts';
import type { BillFilter, JobSpan, MachineBill, MachineEgress, MachineEntryState } from './ledger.ts';

/** A minimum or an increment is billed beyond the end, by no provider for longer. */
const longestIncrementMs = 86_400_000;
/** Later than anything. */
const never = Number.MAX_SAFE_INTEGER;

export const billQuery = `
  SELECT created_at, id, name, state, provider, type, zone, spot, template, user, branch, git_commit, launched_at, provider_created_at, ready_at,
    ended_at, deadline, access_kind, per_hour, price_source, price_as_of, minimum_seconds, increment_seconds, egress_per_gb, pulled, begun_at
  FROM machines INDEXED BY machine_bills
  WHERE never_made IS NULL AND created_at < :until AND ifnull(ended_at, ${never}) >= :since
  ORDER BY created_at`;

export const spanQuery = `
  SELECT machine_id, started_at, ended_at, id, user, branch, git_commit, share
  FROM jobs INDEXED BY job_spans
  WHERE started_at IS NOT NULL AND started_at < :until AND ifnull(ended_at, ${never}) >= :since
  ORDER BY machine_id, started_at`;

/** Attempts that were followed by another one. There are few: they are read out of the entries. */
const pastSpanQuery = `
  SELECT past.value ->> 'machineId', past.value ->> 'startedAt', past.value ->> 'endedAt', jobs.id, user, branch, git_commit,
    (past.value ->> '$.gpus.count') * 1.0 / (past.value ->> '$.gpus.of')
  FROM jobs INDEXED BY jobs_tried_again, json_each(jobs.job, '$.earlier') AS past
  WHERE attempts_before > 0 AND past.value ->> 'startedAt' < :until AND ifnull(past.value ->> 'endedAt', ${never}) >= :since`;

export function billQueries(db: DatabaseSync) {
  return {
    bills: ({ since = 0, until = never }: BillFilter = {}): MachineBill[] =>
      rowsOf<BillRow>(db, billQuery, { since: since - longestIncrementMs, until }).map(billOf),
    jobSpans: ({ since = 0, until = never }: BillFilter = {}): JobSpan[] => {
      const past = rowsOf<SpanRow>(db, pastSpanQuery, { since, until }).map(spanOf);
      const spans = rowsOf<SpanRow>(db, spanQuery, { since, until }).map(spanOf);
      return past.length === 0 ? spans : [...past, ...spans].sort(byStart);
    },
  };
}

function byStart(one: JobSpan, other: JobSpan): number {
  return one.machineId === other.machineId ? one.startedAt - other.startedAt : one.machineId < other.machineId ? -1 : 1;
}

/** In the order of the query's columns: half the time that objects take. */
function rowsOf<Row>(db: DatabaseSync, query: string, values: Readonly<Record<string, number>>): Row[] {
  const statement = db.prepare(query);
  statement.setReturnArrays(true);
  return statement.all(values) as unknown[] as Row[];
}

type Text = string | null;
type Time = number | null;

type BillRow = readonly [
  createdAt: number,
  id: string,
  name: string,
  state: MachineEntryState,
  provider: Text,
  type: Text,
  zone: Text,
  spot: Time,
  template: Text,
  user: Text,
  branch: Text,
  commit: Text,
  launchedAt: Time,
  providerCreatedAt: Time,
  readyAt: Time,
  endedAt: Time,
  deadline: Time,
  accessKind: Text,
  perHour: Time,
  source: Text,
  asOf: Time,
  minimumSeconds: Time,
  incrementSeconds: Time,
  perGb: Time,
  pulled: Text,
  begunAt: Time,
];

function billOf(row: BillRow): MachineBill {
  const createdAt = row[0];
  const [minimumSeconds, incrementSeconds] = [row[21], row[22]];
  return {
    id: row[1],
    name: row[2],
    state: row[3],
    provider: row[4] ?? '',
    type: row[5] ?? '',
    zone: row[6],
    spot: row[7] === 1,
    template: row[8],
    user: row[9] ?? '',
    branch: row[10],
    commit: row[11],
    createdAt,
    launchedAt: row[12],
    providerCreatedAt: row[13],
    readyAt: row[14],
    begunAt: row[25],
    endedAt: row[15],
    deadline: row[16] ?? createdAt,
    borrowed: row[17] === 'openssh',
    rule: minimumSeconds === null || incrementSeconds === null ? plainBilling : { minimumSeconds, incrementSeconds },
    price: { perHour: row[18] ?? 0, currency: 'USD' },
    priceSource: row[19] ?? '',
    priceAsOf: row[20] ?? createdAt,
    egress: row[23] === null ? null : { perGb: row[23], pulled: pulledOf(row[24]) },
  };
}

function pulledOf(text: Text): MachineEgress['pulled'] {
  return text === null ? {} : (JSON.parse(text) as MachineEgress['pulled']);
}

type SpanRow = readonly [machineId: string, startedAt: number, endedAt: Time, id: string, user: Text, branch: Text, commit: Text, share: number | null];

function spanOf([machineId, startedAt, endedAt, id, user, branch, commit, share]: SpanRow): JobSpan {
  return { id, machineId, startedAt, endedAt, user: user ?? '', branch, commit, share: share !== null && share > 0 && share < 1 ? share : 1 };
}
