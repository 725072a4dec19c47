/** The last job takes its machine down, and never under another one whose outputs are still being fetched. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import type { JobEntry } from '../../../src/core/job.ts';
import { identifyProcess, ownIdentity, type ProcessIdentity } from '../../../src/core/process-identity.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { othersOn } from '../../../src/workflows/last-one.ts';
import type { TrainInput } from '../../../src/workflows/train-input.ts';
import { someIntent } from '../../contract/ledger-intent.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

let fake: FakeContext;
afterEach(() => fake[Symbol.dispose]());

test('a job that has ended, and whose outputs are awaited, keeps the machine up; not when whoever awaited them is dead, or has them', async () => {
  fake = createFakeContext((clock) => ({ fake: createFakeProvider({ clock, id: 'fake' }) }));
  const { ledger, clock } = fake.context;
  const { entry } = ledger.open({ ...someIntent('cats-1', 'cats'), provider: 'fake', deadline: clock.now() + 3_600_000, forOneJob: true });
  const end = { code: null, signal: null, reason: 'lost', detail: null } as const;
  const ended = (id: string, awaitedBy: ProcessIdentity | null) =>
    ({ id, machineId: 'cats-1', machineName: 'cats', state: 'ended', end, createdAt: 1, startedAt: 1, endedAt: 2, awaitedBy }) as JobEntry;
  const mine = ended('job-1', ownIdentity());
  const stays = () => othersOn(mine, entry, { teardown: 'auto' } as TrainInput, fake.context);
  ledger.putJob(mine);
  expect(await stays()).toBeNull();

  const other = spawn('sleep', ['60']);
  ledger.putJob(ended('job-2', identifyProcess(other.pid ?? 0)));
  expect(await stays()).toBe("'cats' stays up: what job-2 has made is being fetched");
  other.kill('SIGKILL');
  await once(other, 'exit');
  expect(await stays()).toBeNull();
  ledger.putJob(ended('job-2', ownIdentity()));
  expect(await stays()).not.toBeNull();
  ledger.putJob(ended('job-2', null));
  expect(await stays()).toBeNull();
  ledger.putJob({ ...ended('job-2', null), again: true, retriedBy: ownIdentity() });
  expect(await stays()).toBe("'cats' stays up: job-2 is about to be started again");
  ledger.putJob({ ...ended('job-2', null), again: true, retriedBy: { pid: 999_999_999, started: 'x:1' } });
  expect(await stays()).toBeNull();
});
