/**
 * The ledger in one SQLite file, for many processes at once. May import core and its own folder.
 * Every fact is also kept as it came, in the table `facts`, which only ever grows.
 */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { Clock } from '../core/clock.ts';
import { GpuRunError } from '../core/errors.ts';
import type { JobEntry } from '../core/job.ts';
import { mayBeAlive, type ProcessIdentity } from '../core/process-identity.ts';
import { applyFact, type MachineRecord, recordOf, recordOfFound } from './apply-fact.ts';
import { billQueries } from './bill-queries.ts';
import type { FoundMachine, JobFilter, Ledger, MachineEntry, MachineFact, MachineFilter, MachineIntent } from './ledger.ts';
import { migrations } from './ledger-schema.ts';
import { explainLedgerError } from './sqlite-error.ts';
import { inTransaction, openLedgerFile } from './sqlite-file.ts';

/** Opens the ledger at `file`, or makes it, readable by its owner alone. @throws GpuRunError bad-input, not-allowed, disk-full, conflict */
export function openSqliteLedger(file: string, clock: Clock): Ledger {
  const explained = <Args extends unknown[], Result>(method: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      try {
        return method(...args);
      } catch (error) {
        throw explainLedgerError(error, file);
      }
    };
  };
  const db = explained(openLedgerFile)(file, migrations);
  const ledger = openLedgerOn(db, clock);
  return {
    open: explained(ledger.open),
    adopt: explained(ledger.adopt),
    note: explained(ledger.note),
    get: explained(ledger.get),
    list: explained(ledger.list),
    claim: explained(ledger.claim),
    release: explained(ledger.release),
    putJob: explained(ledger.putJob),
    changeJob: explained(ledger.changeJob),
    getJob: explained(ledger.getJob),
    listJobs: explained(ledger.listJobs),
    bills: explained(ledger.bills),
    jobSpans: explained(ledger.jobSpans),
    close: ledger.close,
  };
}

/** On a file that is open already. Errors are those of SQLite. */
export function openLedgerOn(db: DatabaseSync, clock: Clock): Ledger {
  const jobs = jobTable(db);
  return {
    ...machineTable(db, clock),
    ...billQueries(db),
    putJob: jobs.put,
    changeJob: jobs.change,
    getJob: jobs.get,
    listJobs: jobs.list,
    close: () => {
      if (db.isOpen) db.close();
    },
  };
}

interface MachineRow {
  readonly record: string;
  readonly holder: string | null;
}

/** The first that is known of a machine. */
type Beginning = { readonly fact: 'opened'; readonly intent: Omit<MachineIntent, 'holder'> } | { readonly fact: 'adopted'; readonly found: FoundMachine };

function machineTable(db: DatabaseSync, clock: Clock) {
  const get = (id: string): MachineEntry | null => {
    const row = db.prepare('SELECT record, holder FROM machines WHERE id = ?').get(id) as MachineRow | undefined;
    return row === undefined ? null : entryOf(row);
  };

  const list = (filter: MachineFilter = {}): MachineEntry[] => {
    const { name, live, since, made, limit = -1 } = filter;
    const where = [
      ...(name === undefined ? [] : ['name = :name']),
      ...(live === true ? ["state <> 'gone'"] : []),
      ...(since === undefined ? [] : ['created_at >= :since']),
      ...(made === true ? ['never_made IS NULL'] : []),
    ];
    const values: Record<string, SQLInputValue> = { limit, ...(name === undefined ? {} : { name }), ...(since === undefined ? {} : { since }) };
    const query = `SELECT record, holder FROM machines ${whereAll(where)} ORDER BY created_at DESC, seq DESC LIMIT :limit`;
    return (db.prepare(query).all(values) as unknown as MachineRow[]).map(entryOf);
  };

  const existing = (id: string): MachineEntry => {
    const entry = get(id);
    if (entry === null)
      throw new GpuRunError('not-found', `The ledger has no machine '${id}'.`, { hints: ['gpu-run status --all   lists every machine that it has'] });
    return entry;
  };

  const log = (id: string, at: number, fact: MachineFact | Beginning): void => {
    db.prepare('INSERT INTO facts (machine_id, at, fact) VALUES (?, ?, ?)').run(id, at, JSON.stringify(fact));
  };

  const setHolder = (id: string, holder: ProcessIdentity | null): void => {
    db.prepare('UPDATE machines SET holder = ? WHERE id = ?').run(holder === null ? null : JSON.stringify(holder), id);
  };

  const insert = (record: MachineRecord, holder: ProcessIdentity | null): void => {
    const kept = holder === null ? null : JSON.stringify(holder);
    db.prepare('INSERT INTO machines (id, record, holder) VALUES (?, ?, ?)').run(record.id, JSON.stringify(record), kept);
  };

  return {
    get,
    list,
    open: ({ holder, ...intent }: MachineIntent) =>
      inTransaction(db, () => {
        const [living] = list({ name: intent.name, live: true });
        if (living !== undefined) return { opened: false, entry: living };
        const now = clock.now();
        const record = recordOf(intent, now);
        insert(record, holder);
        log(intent.id, now, { fact: 'opened', intent });
        return { opened: true, entry: { ...record, holder } };
      }),
    adopt: (found: FoundMachine) =>
      inTransaction(db, () => {
        const known = get(found.id) ?? list({ name: found.name, live: true })[0];
        if (known !== undefined) return { adopted: false, entry: known };
        const now = clock.now();
        const record = recordOfFound(found, now);
        insert(record, null);
        log(found.id, now, { fact: 'adopted', found });
        return { adopted: true, entry: { ...record, holder: null } };
      }),
    note: (id: string, fact: MachineFact) =>
      inTransaction(db, () => {
        const { holder, ...record } = existing(id);
        const now = clock.now();
        const after = applyFact(record, fact, now);
        db.prepare('UPDATE machines SET record = ? WHERE id = ?').run(JSON.stringify(after), id);
        log(id, now, fact);
        return { ...after, holder };
      }),
    claim: (id: string, holder: ProcessIdentity) =>
      inTransaction(db, () => {
        const present = existing(id).holder;
        if (present !== null && !isSame(present, holder) && mayBeAlive(present)) return false;
        setHolder(id, holder);
        return true;
      }),
    release: (id: string, holder: ProcessIdentity) =>
      inTransaction(db, () => {
        const present = get(id)?.holder ?? null;
        if (present !== null && isSame(present, holder)) setHolder(id, null);
      }),
  };
}

function jobTable(db: DatabaseSync) {
  const read = (row: Record<string, unknown>): JobEntry => JSON.parse(String(row['job'])) as JobEntry;
  const put = (job: JobEntry): void => {
    db.prepare('INSERT INTO jobs (id, job) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET job = excluded.job').run(job.id, JSON.stringify(job));
  };
  const get = (id: string): JobEntry | null => {
    const row = db.prepare('SELECT job FROM jobs WHERE id = ?').get(id);
    return row === undefined ? null : read(row);
  };
  return {
    put,
    get,
    change: (id: string, change: (known: JobEntry | null) => JobEntry | null): JobEntry | null =>
      inTransaction(db, () => {
        const known = get(id);
        const changed = change(known);
        if (changed !== null) put(changed);
        return changed ?? known;
      }),
    list: ({ machineId, machineName, limit = -1 }: JobFilter = {}): JobEntry[] => {
      const wanted = { ...(machineId === undefined ? {} : { machine_id: machineId }), ...(machineName === undefined ? {} : { machine_name: machineName }) };
      const where = whereAll(Object.keys(wanted).map((column) => `${column} = :${column}`));
      return db
        .prepare(`SELECT job FROM jobs ${where} ORDER BY created_at DESC, seq DESC LIMIT :limit`)
        .all({ ...wanted, limit })
        .map(read);
    },
  };
}

function whereAll(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
}

function entryOf({ record, holder }: MachineRow): MachineEntry {
  return { ...(JSON.parse(record) as MachineRecord), holder: holder === null ? null : (JSON.parse(holder) as ProcessIdentity) };
}

function isSame(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return one.pid === other.pid && one.started === other.started;
}
