import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import { copiedGaps, copiedLog, copiedMarks, copiedRecords, copiedUpTo, lastCopiedRecord } from '../../../src/workflows/job-copy.ts';
import { takeLock } from '../../../src/workflows/lock-file.ts';
import { JobCopy } from '../../../src/workflows/write-copy.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-copy-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const note = (n: number) => ({ n, t: n, type: 'note', level: 'info', text: `note ${n}` }) as const;

test('two followers at any pace write one whole log, without holes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), fc.array(fc.tuple(fc.boolean(), fc.nat(60)), { maxLength: 60 }), (log, steps) => {
      const id = `job-${Math.random()}`;
      const copies = [new JobCopy(folder, id), new JobCopy(folder, id)];
      const at = [0, 0];
      for (const [second, count] of [...steps, [false, 400] as const]) {
        const who = Number(second);
        const offset = at[who] ?? 0;
        copies[who]?.writeLog('out', offset, log.slice(offset, offset + count));
        at[who] = Math.min(log.length, offset + count);
      }
      for (const copy of copies) copy.close();
      const written = readFileSync(join(folder, id, 'log'));
      expect(Buffer.from(log.slice(0, written.length)).equals(written)).toBe(true);
      expect(written.length).toBe(Math.max(...at));
    }),
    { numRuns: 50 },
  );
});

test('bytes behind a gap are not kept', () => {
  const copy = new JobCopy(folder, 'job-gap');
  copy.writeLog('out', 10, new Uint8Array(5));
  expect(copy.logBytes('out')).toBe(0);
  copy.close();
});

const received = (from: number, text: string) => [{ from, to: from + text.length, crc: crc32(text) }];

test('what the machine has lost stays beside the copy, and the copy goes on as the machine does', () => {
  const copy = new JobCopy(folder, 'job-lost');
  copy.writeLog('out', 0, Buffer.from('0123456789'));
  copy.setAside('out', 4, received(0, '0123456789'));
  copy.writeLog('out', 4, Buffer.from('abc'));
  copy.setAside('out', 100, received(90, '0123456789'));
  copy.setAside('out', 4, received(4, 'abc')); // the power goes a second time
  copy.writeLog('out', 4, Buffer.from('def'));
  copy.close();
  expect(readFileSync(join(folder, 'job-lost', 'log'), 'utf8')).toBe('0123def');
  expect(readFileSync(join(folder, 'job-lost', 'log.lost-at-4'), 'utf8')).toBe('456789');
  expect(readFileSync(join(folder, 'job-lost', 'log.lost-at-4.2'), 'utf8')).toBe('abc');
});

test('of two who come back one puts aside what was lost, and neither takes from the other what came since', () => {
  const [first, second] = [new JobCopy(folder, 'job-two'), new JobCopy(folder, 'job-two')];
  first.writeLog('out', 0, Buffer.from('kept\nlost\n'));
  first.setAside('out', 5, received(5, 'lost\n'));
  first.writeLog('out', 5, Buffer.from('new\nmore\n'));
  second.setAside('out', 5, received(5, 'lost\n'));
  second.writeLog('out', 5, Buffer.from('new\n'));
  second.close();
  first.writeLog('out', 14, Buffer.from('last\n'));
  first.close();
  expect(readFileSync(join(folder, 'job-two', 'log'), 'utf8')).toBe('kept\nnew\nmore\nlast\n');
  expect(readFileSync(join(folder, 'job-two', 'log.lost-at-5'), 'utf8')).toBe('lost\n');
  expect(existsSync(join(folder, 'job-two', 'log.lost-at-5.2'))).toBe(false);
});

test('while one process puts aside what was lost another waits, and then goes by what it finds', async () => {
  const own = new JobCopy(folder, 'job-wait');
  own.writeLog('out', 0, Buffer.from('kept\nlost\n'));
  const atIt = takeLock(join(folder, 'job-wait'), 'set-aside.lock', ownIdentity());
  const other = spawn(process.execPath, [join(import.meta.dirname, 'setting-aside-process.ts'), folder, 'job-wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  other.stdout.on('data', (bytes) => {
    said += bytes;
  });
  await vi.waitUntil(() => said !== '', 20_000);
  await new Promise((resolve) => setTimeout(resolve, 150)); // what should wait would long be done
  expect([said, readFileSync(join(folder, 'job-wait', 'log'), 'utf8')]).toEqual(['ready\n', 'kept\nlost\n']);
  atIt?.[Symbol.dispose]();
  await once(other, 'close');
  own.setAside('out', 5, received(5, 'lost\n'));
  own.writeLog('out', 5, Buffer.from('new\nmore\n'));
  own.close();
  expect(said).toBe('ready\ndone\n');
  expect(readFileSync(join(folder, 'job-wait', 'log'), 'utf8')).toBe('kept\nnew\nmore\n');
  expect(readdirSync(join(folder, 'job-wait')).sort()).toEqual(['journal.jsonl', 'log', 'log.gaps', 'log.lost-at-5', 'log.times']);
});

test('times and gaps of what was put aside go with it', () => {
  const copies = [new JobCopy(folder, 'job-tg'), new JobCopy(folder, 'job-tg')];
  for (const copy of copies) {
    copy.writeGap('out', { from: 0, to: 50 });
    copy.writeLog('out', 50, Buffer.alloc(950, 65));
    copy.writeTimes('out', [
      [100, 1_000],
      [1_000, 5_000],
    ]);
    copy.writeGap('out', { from: 1_000, to: 2_000 });
  }
  for (const copy of copies) {
    copy.setAside('out', 100, received(50, 'A'.repeat(950)));
    copy.writeLog('out', 100, Buffer.from('new\n'));
    copy.writeTimes('out', [[104, 90_000]]);
    copy.close();
  }
  expect([...copiedMarks(folder, 'job-tg', 'out')]).toEqual([
    [100, 1_000],
    [104, 90_000],
  ]);
  expect(copiedGaps(folder, 'job-tg', 'out')).toEqual([{ from: 0, to: 50 }]);
});

test('half a line that another follower has left takes no record with it', () => {
  const copy = new JobCopy(folder, 'job-half');
  copy.writeRecords([note(1)]);
  copy.writeTimes('out', [[10, 1_000]]);
  appendFileSync(join(folder, 'job-half', 'journal.jsonl'), '{"n":2,"t":2,"ty');
  appendFileSync(join(folder, 'job-half', 'log.times'), '2');
  copy.writeRecords([note(2), note(3)]);
  copy.writeTimes('out', [[20, 2_000]]);
  copy.close();
  expect([...copiedRecords(folder, 'job-half')]).toEqual([note(1), note(2), note(3)]);
  expect([...copiedMarks(folder, 'job-half', 'out')].at(-1)).toEqual([20, 2_000]);
});

test('records once and in order, past a torn line', () => {
  const first = new JobCopy(folder, 'job-r');
  first.writeRecords([note(1)]);
  first.writeRecords([note(1), note(2), note(2)]);
  first.writeRecords([note(4)]);
  first.close();
  appendFileSync(join(folder, 'job-r', 'journal.jsonl'), '{"n":3,"t');
  expect([...copiedRecords(folder, 'job-r')]).toEqual([note(1), note(2)]);
  expect(lastCopiedRecord(folder, 'job-r')).toEqual(note(2));
  const second = new JobCopy(folder, 'job-r');
  second.writeRecords([note(3)]);
  second.close();
  expect([...copiedRecords(folder, 'job-r')]).toEqual([note(1), note(2), note(3)]);
});

test('up to where all records are here is found at the end of a long file, or, where that is not whole, by reading all of it', () => {
  const long = { ...note(1), text: 'x'.repeat(1_000) };
  const file = join(folder, 'job-long', 'journal.jsonl');
  const copy = new JobCopy(folder, 'job-long');
  copy.writeRecords(Array.from({ length: 600 }, (_, index) => ({ ...long, n: index + 1 })));
  copy.close();
  expect([copiedUpTo(folder, 'job-long'), copiedUpTo(folder, 'job-none')]).toEqual([600, 0]);
  const lines = (...records: readonly object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');
  appendFileSync(file, lines(note(599), note(600), note(601))); // by one who follows it a little later
  expect(copiedUpTo(folder, 'job-long')).toBe(601);
  appendFileSync(file, lines(note(603)));
  expect(copiedUpTo(folder, 'job-long')).toBe(601);
  appendFileSync(file, `{"n":60\n${lines(note(602), note(603))}`);
  expect(copiedUpTo(folder, 'job-long')).toBe(603);
});

test('reading beyond the end is refused', () => {
  const copy = new JobCopy(folder, 'job-short');
  copy.writeLog('out', 0, new Uint8Array([1, 2, 3]));
  copy.close();
  expect(() => [...copiedLog(folder, 'job-short', 'out', 4)]).toThrow(/3 bytes/);
  expect([...copiedLog(folder, 'job-short', 'out', 1)]).toEqual([{ type: 'log', offset: 1, bytes: new Uint8Array([2, 3]) }]);
});

test('a gap takes the place of bytes that are not here, and of no others', () => {
  const copy = new JobCopy(folder, 'job-g');
  copy.writeLog('out', 0, new Uint8Array([1, 2, 3]));
  copy.writeGap('out', { from: 9, to: 12 }); // between lie bytes that may still come
  expect(copy.logBytes('out')).toBe(3);
  copy.writeGap('out', { from: 1, to: 6 });
  copy.writeLog('out', 6, new Uint8Array([7, 8]));
  copy.writeGap('out', { from: 2, to: 8 }); // by now all of this is here
  copy.close();
  const parts = [...copiedLog(folder, 'job-g', 'out', 0)];
  expect(parts).toEqual([
    { type: 'log', offset: 0, bytes: new Uint8Array([1, 2, 3]) },
    { type: 'gap', from: 3, to: 6 },
    { type: 'log', offset: 6, bytes: new Uint8Array([7, 8]) },
  ]);
  expect([...copiedLog(folder, 'job-g', 'out', 4)][0]).toEqual({ type: 'gap', from: 4, to: 6 });
});

test('whatever the machine gives up while several follow: each byte that is shown is right, and the rest is told', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ who: fc.nat(2), read: fc.integer({ min: 1, max: 60 }) }) },
    { weight: 1, arbitrary: fc.record({ who: fc.nat(2), restart: fc.constant(true) }) },
    { weight: 1, arbitrary: fc.record({ goneTo: fc.nat(300) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const id = `job-${Math.random()}`;
      const log = Uint8Array.from({ length: 300 }, (_, index) => 1 + (index % 255));
      const gone = { from: 20, to: 20 };
      const followers = [0, 1, 2].map(() => ({ at: 0, copy: new JobCopy(folder, id) }));
      const read = (who: number, count: number) => {
        const follower = followers[who] as (typeof followers)[number];
        const { copy, at } = follower;
        if (at >= gone.from && at < gone.to) {
          copy.writeGap('out', { from: at, to: gone.to });
          follower.at = gone.to;
          return;
        }
        const end = Math.min(log.length, at + count, at < gone.from && gone.to > gone.from ? gone.from : log.length);
        copy.writeLog('out', at, log.slice(at, end));
        follower.at = end;
      };
      for (const each of steps) {
        if ('goneTo' in each) gone.to = Math.max(gone.to, each.goneTo);
        else if ('read' in each) read(each.who, each.read);
        else {
          followers[each.who]?.copy.close();
          const copy = new JobCopy(folder, id);
          followers[each.who] = { at: copy.logBytes('out'), copy };
        }
      }
      while ((followers[0]?.at ?? 0) < log.length) read(0, 300);
      for (const { copy } of followers) copy.close();
      let at = 0;
      for (const part of copiedLog(folder, id, 'out', 0)) {
        if (part.type === 'gap') {
          expect(part.from).toBe(at);
          expect(part.from >= gone.from && part.to <= gone.to).toBe(true);
          at = part.to;
        } else {
          expect(part.offset).toBe(at);
          at += part.bytes.length;
          expect(part.bytes).toEqual(log.slice(part.offset, at));
        }
      }
      expect(at).toBe(log.length);
    }),
    { numRuns: 60 },
  );
});

test('gaps that several followers have noted are joined', () => {
  const copies = [new JobCopy(folder, 'job-j'), new JobCopy(folder, 'job-j')];
  copies[0]?.writeGap('out', { from: 0, to: 4 });
  copies[1]?.writeGap('out', { from: 0, to: 9 });
  for (const copy of copies) copy.close();
  expect(copiedGaps(folder, 'job-j', 'out')).toEqual([{ from: 0, to: 9 }]);
});

test('times of several followers are one row, and go on where they stopped', () => {
  const first = new JobCopy(folder, 'job-t');
  const second = new JobCopy(folder, 'job-t');
  for (const copy of [first, second])
    copy.writeTimes('out', [
      [10, 1_000],
      [20, 2_000],
    ]);
  second.writeTimes('out', [[30, 3_000]]);
  first.writeTimes('out', [
    [30, 3_000],
    [40, 4_000],
  ]);
  first.close();
  second.close();
  expect([...copiedMarks(folder, 'job-t', 'out')]).toEqual([
    [10, 1_000],
    [20, 2_000],
    [30, 3_000],
    [40, 4_000],
  ]);
  const third = new JobCopy(folder, 'job-t');
  expect([third.timesTo('out'), third.timesTo('err')]).toEqual([40, 0]);
  third.close();
});

test('stderr has a log of its own, only when it is written to', () => {
  const copy = new JobCopy(folder, 'job-e');
  expect(existsSync(join(folder, 'job-e', 'err'))).toBe(false);
  copy.writeLog('err', 0, new Uint8Array([1]));
  copy.close();
  expect([...copiedLog(folder, 'job-e', 'err', 0)]).toEqual([{ type: 'log', offset: 0, bytes: new Uint8Array([1]) }]);
  expect([...copiedLog(folder, 'job-e', 'out', 0)]).toEqual([]);
});
