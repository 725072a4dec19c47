import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import type { Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { JobEntry } from '../../src/core/job.ts';
import { ownIdentity } from '../../src/core/process-identity.ts';
import type { MachineEntryState } from '../../src/ledger/ledger.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite-ledger.ts';
import { ledgerContract } from './ledger.ts';
import { someIntent } from './ledger-intent.ts';

let folder: string;
let file: string;
let children: ChildProcessByStdio<Writable, Readable, Readable>[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-ledger-'));
  file = join(folder, 'ledger.sqlite');
  children = [];
});

afterEach(async () => {
  await Promise.all(children.map(killed));
  rmSync(folder, { recursive: true, force: true });
});

ledgerContract('SQLite', (clock) => openSqliteLedger(file, clock));

function start(task: 'race' | 'write' | 'hold' | 'count', tag: string) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'ledger-process.ts'), task, file, tag], { stdio: 'pipe' });
  children.push(child);
  return child;
}

async function killed(child: (typeof children)[number]): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function textOf(stream: Readable): Promise<string> {
  return Buffer.concat(await stream.toArray()).toString();
}

function integrityOf(path: string): unknown {
  const db = new DatabaseSync(path);
  try {
    return db.prepare('PRAGMA integrity_check').get()?.['integrity_check'];
  } finally {
    db.close();
  }
}

describe('several processes', () => {
  it('open the same name at the same moment: one makes it and all get the same machine, also where one has to make the file', async () => {
    const racers = Array.from({ length: 8 }, (_, n) => {
      const { stdin, stdout, stderr } = start('race', `p${n}`);
      return { stdin, stderr, lines: createInterface(stdout)[Symbol.asyncIterator]() };
    });
    const answers = () =>
      Promise.all(racers.map(async ({ lines }) => JSON.parse((await lines.next()).value ?? 'null') as { opened: boolean; id: string } | 'waiting'));
    expect(new Set(await answers())).toEqual(new Set(['waiting']));
    for (let round = 0; round < 40; round += 1) {
      const path = round < 20 ? `${file}.${round}` : file; // a new file each time, then the same one
      for (const { stdin } of racers) stdin.write(`${path} name-${round}\n`);
      const attempts = (await answers()).filter((answer) => answer !== 'waiting');
      expect(attempts.filter(({ opened }) => opened)).toHaveLength(1);
      expect(new Set(attempts.map(({ id }) => id)).size).toBe(1);
    }
    for (const { stdin } of racers) stdin.end();
    expect(await Promise.all(racers.map(({ stderr }) => textOf(stderr)))).toEqual(racers.map(() => ''));
  });

  it('are killed while they write: the file stays whole, and nothing that was acknowledged is lost', async () => {
    const last = new Map<string, MachineEntryState>();
    const writers = Array.from({ length: 6 }, async (_, n) => {
      const writer = start('write', String(n));
      let left = 1 + Math.floor(Math.random() * 60);
      for await (const line of createInterface(writer.stdout)) {
        const { id, state } = JSON.parse(line) as { id: string; state: MachineEntryState };
        last.set(id, state);
        left -= 1;
        if (left <= 0) writer.kill('SIGKILL');
      }
    });
    await Promise.all(writers);
    expect(last.size).toBeGreaterThan(6);
    const order: MachineEntryState[] = ['intent', 'ending', 'gone'];
    const ledger = openSqliteLedger(file, systemClock);
    for (const [id, state] of last) {
      const kept = ledger.get(id)?.state ?? 'intent';
      expect(ledger.get(id), id).not.toBeNull();
      expect(order.indexOf(kept), `${id} was acknowledged as ${state}`).toBeGreaterThanOrEqual(order.indexOf(state));
    }
    ledger.close();
    expect(integrityOf(file)).toBe('ok');
  });

  it('change what is known of one job: no change is lost', async () => {
    const ledger = openSqliteLedger(file, systemClock);
    ledger.putJob({ id: 'counted', machineId: 'cats-1', machineName: 'cats', createdAt: 0, asOf: 0 } as JobEntry);
    await Promise.all([50, 70].map(async (times) => expect(await once(start('count', String(times)), 'exit')).toEqual([0, null])));
    expect(ledger.getJob('counted')?.asOf).toBe(120);
    ledger.close();
  });

  it('claim what a dead process held: one of many gets it, and the next one only when that has died too', async () => {
    const ledger = openSqliteLedger(file, systemClock);
    ledger.open({ ...someIntent('held-1', 'held'), holder: { pid: process.pid, started: 'before the last boot' } });
    const holders = Array.from({ length: 6 }, () => start('hold', 'any'));
    const answers = await Promise.all(holders.map(async ({ stdout }) => (await once(createInterface(stdout), 'line'))[0]));
    expect(answers.filter((answer) => answer === 'true')).toHaveLength(1);
    const winner = holders[answers.indexOf('true')];
    expect(ledger.get('held-1')?.holder?.pid).toBe(winner?.pid);
    expect(ledger.claim('held-1', ownIdentity())).toBe(false);
    if (winner !== undefined) await killed(winner);
    expect(ledger.claim('held-1', ownIdentity())).toBe(true);
    ledger.close();
  });
});
