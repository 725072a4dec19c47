/** Journals, locks and the process table on real files and processes. */
import { spawn } from 'node:child_process';
import { appendFileSync, closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseGpus } from '../../../remote-runner/gpu-report.ts';
import { lastRecord, type NewRecord, openJournal, wholeRecords } from '../../../remote-runner/journal.ts';
import { identify, isAlive, processTable, psRows, startedWith } from '../../../remote-runner/processes.ts';
import { liveHolder, takeServeLock } from '../../../remote-runner/serve-lock.ts';
import { checkpointFolder } from '../../../src/protocol/checkpoint-folder.ts';
import { kill, until } from '../../support/runner.ts';

let folder: string;
let counter = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-journal-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const freshName = () => join(folder, String(counter++));

const note = (text: string): NewRecord => ({ type: 'note', level: 'info', text });
const metric = (at: number): NewRecord => ({ type: 'metric', values: { loss: 1 }, step: null, epoch: null, source: 'json', at });

function readAll(file: string) {
  const fd = openSync(file, 'r');
  try {
    return { records: [...wholeRecords(fd, 0)].map(({ record }) => record), last: lastRecord(fd) };
  } finally {
    closeSync(fd);
  }
}

describe('the journal', () => {
  test('cut off anywhere, it opens again with all whole records, and numbers go on without a gap', () => {
    const texts = fc.array(fc.string({ maxLength: 60 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(texts, fc.nat(), texts, (before, cut, after) => {
        const file = freshName();
        const first = openJournal(file);
        for (const text of before) first.append([note(text)]);
        first.close();
        const bytes = readFileSync(file);
        const keep = cut % (bytes.length + 1);
        truncateSync(file, keep);
        const whole = bytes.subarray(0, keep).filter((byte) => byte === 0x0a).length;
        const again = openJournal(file);
        expect(again.last).toBe(whole);
        again.append(after.map(note));
        again.close();
        const { records, last } = readAll(file);
        expect(records.map((record) => (record.type === 'note' ? record.text : ''))).toEqual([...before.slice(0, whole), ...after]);
        expect(records.map(({ n }) => n)).toEqual(records.map((_record, index) => index + 1));
        expect(last).toEqual(records.at(-1));
      }),
      { numRuns: 60 },
    );
  });

  test('numbers hundreds of records that come at once, and remembers what all of them say', () => {
    const file = freshName();
    const journal = openJournal(file);
    journal.append(Array.from({ length: 450 }, (_, index) => metric(index)));
    expect([journal.last, journal.facts.logMetricsAt]).toEqual([450, 449]);
    journal.close();
    const { records } = readAll(file);
    expect(records.map((record) => [record.n, record.type === 'metric' ? record.at : null])).toEqual(
      Array.from({ length: 450 }, (_, index) => [index + 1, index]),
    );
  });

  test('zeros and garbage that a power cut left are cut off', () => {
    const file = freshName();
    const journal = openJournal(file);
    journal.append([note('one'), note('two')]);
    journal.close();
    appendFileSync(file, Buffer.concat([Buffer.alloc(100), Buffer.from('\n{"n":9}\n')]));
    const again = openJournal(file);
    expect(again.last).toBe(2);
    again.append([note('three')]);
    again.close();
    expect(readAll(file).records.map(({ n }) => n)).toEqual([1, 2, 3]);
  });

  test('remembers state, end, and where reading for metrics goes on', () => {
    const file = freshName();
    const journal = openJournal(file, () => 1234);
    const end = { code: 3, signal: null, reason: 'exit', detail: null } as const;
    journal.append([{ type: 'state', state: 'queued', logOffset: 0 }]);
    journal.append([
      { type: 'state', state: 'running', logOffset: 0 },
      metric(10),
      { ...metric(77), source: 'file' } as NewRecord,
      metric(20),
      { ...metric(30), source: 'regex', epoch: 2 } as NewRecord,
    ]);
    expect(journal.facts).toMatchObject({ state: 'running', startedAt: 1234, logMetricsAt: 30, fileMetricsAt: 77, logPlace: { step: null, epoch: 2 } });
    journal.append([{ type: 'state', state: 'ended', logOffset: 5, end }]);
    expect(() => journal.append([note('late')])).toThrow('has ended');
    journal.close();
    const again = openJournal(file);
    expect(again.facts).toEqual({
      state: 'ended',
      end,
      startedAt: 1234,
      endedAt: 1234,
      logMetricsAt: 30,
      fileMetricsAt: 77,
      checkpointAt: 0,
      warned: new Set(),
      logPlace: { step: null, epoch: 2 },
    });
    expect(() => again.append([note('late')])).toThrow('has ended');
    again.close();
  });

  test('gives its last record without being read whole, however long records are', () => {
    const file = freshName();
    const journal = openJournal(file);
    const long = 'x'.repeat(100_000);
    for (const text of ['a', long, 'b', long]) {
      journal.append([note(text)]);
      expect(readAll(file).last).toMatchObject({ n: journal.last, text });
    }
    appendFileSync(file, '{"n":5,"half');
    expect(readAll(file).last).toMatchObject({ n: 4 });
    journal.close();
    writeFileSync(file, '');
    expect(readAll(file).last).toBeNull();
  });
});

describe('the lock of the serving process', () => {
  test('is held while its process lives, and taken over when that has died', async () => {
    const lock = freshName();
    mkdirSync(lock);
    const sleeper = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      const identity = await until(() => identify(sleeper.pid ?? 0), 'the process');
      writeFileSync(join(lock, '3'), JSON.stringify({ ...identity, version: 'old' }));
      expect(takeServeLock(lock, 'new')).toBeNull();
      expect(liveHolder(lock)).toMatchObject({ pid: sleeper.pid, version: 'old' });
      kill(sleeper.pid ?? 0);
      await until(() => !isAlive(identity), 'its end');
      const taken = takeServeLock(lock, 'new');
      expect(taken?.stillOurs()).toBe(true);
      expect(liveHolder(lock)).toMatchObject({ pid: process.pid, version: 'new' });
      expect(readdirSync(lock)).toEqual(['4']);
      // Somebody else has taken over from us, thinking us dead.
      writeFileSync(join(lock, '5'), '');
      expect(taken?.stillOurs()).toBe(false);
      rmSync(lock, { recursive: true });
      expect(taken?.stillOurs()).toBe(false);
    } finally {
      kill(sleeper.pid ?? 0);
    }
  });

  test('of a process whose pid was given to another one is free', () => {
    const lock = freshName();
    mkdirSync(lock);
    writeFileSync(join(lock, '1'), JSON.stringify({ ...identify(process.pid), started: '1', version: 'old' }));
    expect(liveHolder(lock)).toBeNull();
    expect(takeServeLock(lock, 'new')?.stillOurs()).toBe(true);
    expect(takeServeLock(lock, 'new')).toBeNull();
  });

  test('that a power cut emptied is free', () => {
    const lock = freshName();
    mkdirSync(lock);
    writeFileSync(join(lock, '7'), '');
    expect(takeServeLock(lock, 'new')?.stillOurs()).toBe(true);
  });
});

describe('the process table', () => {
  test('from ps agrees with the one from /proc', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore', detached: true });
    try {
      const fromProc = await until(() => processTable().find(({ pid }) => pid === child.pid), 'the process');
      const fromPs = psRows(['-A']).find(({ pid }) => pid === child.pid);
      expect(fromPs).toMatchObject({ pid: child.pid, parent: fromProc.parent, group: fromProc.group });
      expect(fromPs?.started).toMatch(/^\w{3} \w{3} \d+ \d\d:\d\d:\d\d \d{4}$/);
      expect(psRows(['-p', String(child.pid)])).toEqual([fromPs]);
    } finally {
      kill(child.pid ?? 0);
    }
  });

  test('finds a variable only as a whole', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore', env: { A_COOKIE: 'job-1', COOKIE: 'job-12' } });
    const pid = child.pid ?? 0;
    try {
      await until(() => startedWith(pid, 'COOKIE=job-12'), 'the environment');
      for (const other of ['COOKIE=job-1', 'OKIE=job-12', 'COOKIE=job-123', 'COOKIE']) expect(startedWith(pid, other)).toBe(false);
    } finally {
      kill(pid);
    }
  });
});

test.each([
  [[], 'checkpoints'],
  [['outputs/'], 'outputs/checkpoints'],
  [['runs', 'checkpoints/'], 'checkpoints'],
  [['model.bin'], 'checkpoints'],
  [['model.bin', 'out'], 'out/checkpoints'],
  [['out/ckpt'], 'out/ckpt'],
  [['out/my-checkpoints-2/'], 'out/my-checkpoints-2'],
  [['best.ckpt', 'runs/'], 'runs/checkpoints'],
  [['runs/v1.0'], 'runs/v1.0/checkpoints'],
])('checkpoints of a job with the outputs %j go to %s', (outputs, expected) => {
  expect(checkpointFolder(outputs)).toBe(expected);
});

test('GPUs as nvidia-smi prints them', () => {
  expect(parseGpus('0, NVIDIA H200, GPU-1f2e, 143771, 570.86.15\n1, NVIDIA GeForce RTX 4090, GPU-77, [N/A], 570.86.15\n\nnoise\n')).toEqual([
    { index: 0, name: 'NVIDIA H200', uuid: 'GPU-1f2e', memoryBytes: 143_771 * 1024 * 1024, driver: '570.86.15' },
    { index: 1, name: 'NVIDIA GeForce RTX 4090', uuid: 'GPU-77', memoryBytes: null, driver: '570.86.15' },
  ]);
});
