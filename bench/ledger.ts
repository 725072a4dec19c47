/** `status` and `cost` with thousands of runs behind them, against the same commands with an empty ledger. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { homePaths } from '../src/config/home.ts';
import type { JobEntry } from '../src/core/job.ts';
import { recordOf } from '../src/ledger/apply-fact.ts';
import type { MachineIntent } from '../src/ledger/ledger.ts';
import { openSqliteLedger } from '../src/ledger/sqlite-ledger.ts';
import { bareNode } from './bench-machine.ts';
import { type Contender, compare } from './measure.ts';
import { printTable } from './print-table.ts';

const runs = 5_000;
const hour = 3_600_000;
const commands = [['status'], ['cost'], ['cost', '--by', 'job'], ['cost', '--by', 'day'], ['cost', '--json']] as const;

export function benchLedger(): void {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-bench-ledger-'));
  try {
    const empty = fillHome(join(root, 'empty'), 0);
    const full = fillHome(join(root, 'full'), runs);
    for (const words of commands) {
      const rows = compare([gpuRun(words, empty, 'empty ledger'), gpuRun(words, full, `${runs} machines and jobs`), bareNode], 15);
      printTable(`gpu-run ${words.join(' ')}, 15 rounds`, rows);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function gpuRun(words: readonly string[], home: string, name: string): Contender {
  const argv = [process.execPath, join(import.meta.dirname, '..', 'bin', 'run.js'), ...words] as const;
  return { name, argv, env: { GPU_RUN_HOME: home, NO_COLOR: '1' }, cwd: home };
}

/** Machines that are gone, of an hour and one job each, all but the last three, which run. */
function fillHome(home: string, count: number): string {
  mkdirSync(home, { mode: 0o700 });
  const file = homePaths(home).ledger;
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
  openSqliteLedger(file, { now: Date.now, sleep: () => Promise.resolve() }).close();
  const db = new DatabaseSync(file);
  db.exec('BEGIN');
  const addMachine = db.prepare('INSERT INTO machines (id, record) VALUES (?, ?)');
  const addFact = db.prepare('INSERT INTO facts (machine_id, at, fact) VALUES (?, ?, ?)');
  const addJob = db.prepare('INSERT INTO jobs (id, job) VALUES (?, ?)');
  for (let n = 0; n < count; n++) {
    const at = Date.now() - (count - n) * hour;
    const { id, name, intent, job } = runAt(n, at);
    const isLive = n >= count - 3;
    const ref = { provider: 'gcp', id, name, labels: intent.labels, createdAt: at + 2_000, data: { zone: 'us-central1-a', project: 'bench' } };
    const access = { kind: 'own', host: '203.0.113.9', port: 22, user: 'gpu', hostKeys: [`ssh-ed25519 ${'A'.repeat(68)}`] };
    const times = { launchedAt: at + 3_000, readyAt: at + 60_000, endedAt: isLive ? null : at + hour, endReason: isLive ? null : 'down' };
    const state = isLive ? 'ready' : 'gone';
    addMachine.run(
      id,
      JSON.stringify({ ...recordOf(intent, at), ref, access, ...times, state, deadline: at + 4 * hour, pulled: { [job.id]: 10_000_000 + n } }),
    );
    for (const fact of [
      { fact: 'opened', intent },
      { fact: 'launched', ref },
      { fact: 'ready', access },
    ])
      addFact.run(id, at, JSON.stringify(fact));
    addJob.run(job.id, JSON.stringify(job));
  }
  db.exec('COMMIT');
  db.close();
  return home;
}

function runAt(n: number, at: number): { readonly id: string; readonly name: string; readonly intent: Omit<MachineIntent, 'holder'>; readonly job: JobEntry } {
  const name = `run-${n}`;
  const id = `${name}-abcdef`;
  const price = { perHour: 0.2 + (n % 50) / 10, currency: 'USD' } as const;
  const place = { provider: 'gcp', region: 'us-central1', zone: 'us-central1-a', type: 'g2-standard-4', gpu: { name: 'L4', count: 1 } };
  const egress = { perGb: 0.12, currency: 'USD', asOf: at, source: 'list price' } as const;
  const offer = { ...place, spot: true, price, egress, asOf: at, source: 'Cloud Billing catalog', available: null };
  const who = { user: `user-${n % 20}`, branch: `branch-${n % 200}`, commit: n.toString(16).padStart(40, '0') };
  const limits = { deadline: at + 4 * hour, idleSeconds: 900, budgetUsd: null, forOneJob: false, billing: { minimumSeconds: 60, incrementSeconds: 1 } };
  const labels = { 'gpu-run-owner': 'bench-abcdef', 'gpu-run-machine': id, 'gpu-run-name': name, 'gpu-run-expires': String(at) };
  const intent = { id, name, provider: 'gcp', owner: 'bench-abcdef', labels, requestId: id, offer, template: 'gcp-l4', ...limits, ...who };
  const end = { code: 0, signal: null, reason: 'exit', detail: null } as const;
  const times = { createdAt: at + 100_000, startedAt: at + 101_000, endedAt: at + 3_000_000, asOf: at };
  const job: JobEntry = { id: `job-${n}`, machineId: id, machineName: name, command: 'python train.py', state: 'ended', end, attempts: 1, ...times, ...who };
  return { id, name, intent, job };
}
