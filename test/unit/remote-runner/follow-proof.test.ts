/** After a reconnect: is what the follower has what the machine has? */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { type FollowOptions, followJob } from '../../../src/runner/follow.ts';
import { buildRunner, createMachine, specOf } from '../../support/runner.ts';

let build: string;
let script: string;
beforeAll(() => {
  build = mkdtempSync(join(tmpdir(), 'gpu-run-build-'));
  script = buildRunner(build);
});
afterAll(() => rmSync(build, { recursive: true, force: true }));

interface Seen {
  readonly log: string;
  readonly differs: unknown[];
}

/** Follows a job that prints ten digits, and `abc` once it may; after the digits `happen` changes the log, and the connection is cut. */
async function seenAfter(happen: (log: string) => void): Promise<Seen> {
  await using machine = createMachine(script);
  const spec = specOf('printf 0123456789; until [ -e go ]; do sleep 0.02; done; printf abc');
  await (await machine.connect()).call('submit', { spec });
  let client: RunnerClient | null = null;
  const differs: unknown[] = [];
  const options: FollowOptions = {
    connect: async () => {
      client = await machine.connect();
      return client;
    },
    release: async () => void writeFileSync(join(machine.workdir, 'go'), ''),
    jobId: spec.id,
    logOffset: 0,
    record: 0,
    follow: true,
    clock: systemClock,
    signal: new AbortController().signal,
    onLink: () => {},
    onDiffers: (what) => differs.push(what),
  };
  let log = '';
  for await (const part of followJob(options)) {
    if (part.type !== 'log') continue;
    log += Buffer.from(part.bytes).toString();
    if (log !== '0123456789' || differs.length > 0) continue;
    happen(machine.jobFile(spec.id, 'log'));
    await (client as RunnerClient | null)?.close();
  }
  return { log, differs };
}

test.each<readonly [string, (log: string) => void, Seen]>([
  ['nothing has changed', () => {}, { log: '0123456789abc', differs: [] }],
  ['bytes are gone', (log) => truncateSync(log, 4), { log: '01234567890123abc', differs: [{ stream: 'out', at: 0, had: 10 }] }],
  ['others stand there', (log) => writeFileSync(log, '01234\0\0\0\0\0'), { log: '012345678901234\0\0\0\0\0abc', differs: [{ stream: 'out', at: 0, had: 10 }] }],
])('%s', async (_, happen, expected) => {
  const { log, differs } = await seenAfter(happen);
  expect(log).toBe(expected.log);
  // Whoever watches the job may notice first that its log has become shorter, and then it is as long as before, with a gap.
  const isShorter = expected.log.length === '01234567890123abc'.length;
  expect(isShorter ? [[], expected.differs] : [expected.differs]).toContainEqual(differs);
});
