/** After a reconnect: is what the follower has what the machine has? */
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { type FollowOptions, followJob } from '../../../src/runner/follow.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, kill, specOf, until } from '../../support/runner.ts';

const built = useBuiltRunner();

interface Seen {
  readonly log: string;
  readonly differs: unknown[];
}

/** Follows a job that prints ten digits, and `abc` once it may; after the digits `happen` changes the log, and the connection is cut. */
async function seenAfter(happen: (log: string) => void): Promise<Seen> {
  await using machine = createMachine(built.script);
  const spec = specOf('printf 0123456789; until [ -e go ]; do sleep 0.02; done; printf abc');
  const submitting = await machine.connect();
  await submitting.call('submit', { spec });
  await submitting.close();
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
    onDiffers: ({ received: _, ...what }) => differs.push(what),
  };
  let log = '';
  for await (const part of followJob(options)) {
    if (part.type !== 'log') continue;
    log += Buffer.from(part.bytes).toString();
    if (log !== '0123456789' || differs.length > 0) continue;
    await (client as RunnerClient | null)?.close();
    // As after a power cut: nobody watches the job, or follows it, who would notice that its log has become shorter.
    await until(() => machine.pids('connect').length === 0, 'the end of the agent');
    for (const pid of machine.pids('serve')) kill(pid);
    await until(() => machine.pids('serve').length === 0, 'the end of the serving process');
    happen(machine.jobFile(spec.id, 'log'));
  }
  return { log, differs };
}

test.each<readonly [string, (log: string) => void, Seen]>([
  ['nothing has changed', () => {}, { log: '0123456789abc', differs: [] }],
  ['bytes are gone', (log) => truncateSync(log, 4), { log: '01234567890123abc', differs: [{ stream: 'out', at: 0, had: 10 }] }],
  [
    'others stand there',
    (log) => writeFileSync(log, '01234\0\0\0\0\0', { flag: 'r+' }),
    { log: '012345678901234\0\0\0\0\0abc', differs: [{ stream: 'out', at: 0, had: 10 }] },
  ],
])('%s', async (_, happen, expected) => {
  expect(await seenAfter(happen)).toEqual(expected);
});
