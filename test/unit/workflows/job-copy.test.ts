import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copiedLog, copiedRecords, JobCopy } from '../../../src/workflows/job-copy.ts';

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
        copies[who]?.writeLog(offset, log.slice(offset, offset + count));
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
  copy.writeLog(10, new Uint8Array(5));
  expect(copy.logBytes).toBe(0);
  copy.close();
});

test('records once and in order, past a torn line', () => {
  const first = new JobCopy(folder, 'job-r');
  first.writeRecord(note(1));
  first.writeRecord(note(2));
  first.writeRecord(note(2));
  first.writeRecord(note(4));
  first.close();
  appendFileSync(join(folder, 'job-r', 'journal.jsonl'), '{"n":3,"t');
  expect(copiedRecords(folder, 'job-r')).toEqual([note(1), note(2)]);
});

test('reading beyond the end is refused', () => {
  const copy = new JobCopy(folder, 'job-short');
  copy.writeLog(0, new Uint8Array([1, 2, 3]));
  copy.close();
  expect(() => [...copiedLog(folder, 'job-short', 4)]).toThrow(/3 bytes/);
  expect([...copiedLog(folder, 'job-short', 1)]).toEqual([{ offset: 1, bytes: new Uint8Array([2, 3]) }]);
});
