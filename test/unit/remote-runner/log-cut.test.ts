/** A program of the job cuts off the log, where that is a file: offsets go on, and nobody who follows stands still or gets anything twice. */
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { noteReached, watchCut } from '../../../remote-runner/log-cut.ts';
import { readGap } from '../../../remote-runner/log-gap.ts';
import type { LogFiles } from '../../../remote-runner/machine-folder.ts';
import { buildRunner, createMachine, specOf } from '../../support/runner.ts';

let folder: string;
let files: LogFiles;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-cut-'));
  const bytes = join(folder, 'log');
  files = { stream: 'out', bytes, times: `${bytes}.times`, gap: `${bytes}.gap` };
  writeFileSync(bytes, '');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each(['', 'two\n', 'zeros\0\0', 'x'.repeat(200_000)])('what was printed since stands behind what was there (%#)', (since) => {
  const watch = watchCut(files);
  appendFileSync(files.bytes, 'one\n'.repeat(100_000));
  expect(watch.look()).toBe(false);
  truncateSync(files.bytes);
  appendFileSync(files.bytes, since);
  expect(watch.look()).toBe(true);
  appendFileSync(files.bytes, 'three\n');
  expect(watch.look()).toBe(false);
  expect(readGap(files)).toEqual({ from: 0, to: 400_000 });
  expect(readFileSync(files.bytes).subarray(400_000).toString() === `${since}three\n`).toBe(true);
});

test('a follower may have seen more than whoever watches the job; what an older one saw counts no more', () => {
  noteReached(files, 1_000);
  const watch = watchCut(files);
  expect(watch.look()).toBe(false);
  writeFileSync(files.bytes, 'new\n');
  noteReached(files, 8);
  expect(watch.look()).toBe(true);
  expect(readFileSync(files.bytes).subarray(8).toString()).toBe('new\n');
  expect(readGap(files)).toEqual({ from: 0, to: 8 });
});

test('a job that writes to /dev/stderr, where no pipes can be made', async () => {
  const programs = join(folder, 'programs');
  mkdirSync(programs);
  writeFileSync(join(programs, 'mkfifo'), '#!/bin/sh\nexit 1\n', { mode: 0o700 });
  await using machine = createMachine(buildRunner(folder), { env: { ...process.env, PATH: `${programs}:${process.env['PATH']}` } });
  const client = await machine.connect();
  const awaits = (file: string) => `until [ -e ${file} ]; do sleep 0.02; done`;
  const spec = specOf(`seq 100; ${awaits('seen')}; echo oops > /dev/stderr; ${awaits('more')}; seq 3`);
  await client.call('submit', { spec });
  const call = client.open('follow', { id: spec.id, logOffset: 0, record: 0, follow: true });
  const numbers = Array.from({ length: 100 }, (_, n) => `${n + 1}\n`).join('');
  let log = '';
  let next = 0;
  const notes: string[] = [];
  for await (const part of call.parts()) {
    if (part.kind === 'block') {
      expect(part.block.offset).toBe(next);
      next += part.block.bytes.length;
      log += Buffer.from(part.block.bytes).toString();
      if (log === numbers) writeFileSync(join(machine.workdir, 'seen'), '');
      if (log.endsWith('oops\n')) writeFileSync(join(machine.workdir, 'more'), '');
    } else notes.push(JSON.stringify(part.value));
  }
  expect(log).toBe(`${numbers}oops\n1\n2\n3\n`);
  expect(notes.filter((text) => text.includes('>&2'))).toHaveLength(1);
  expect(existsSync(`${machine.jobFile(spec.id, 'log')}.reached`)).toBe(false);
}, 20_000);
