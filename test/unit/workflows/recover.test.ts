import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { LaunchPlan } from '../../../src/providers/provider.ts';
import { createFakeProvider, type FakeProvider } from '../../../src/testing/fake-provider.ts';
import { recover } from '../../../src/workflows/recover.ts';
import { createFakeContext } from './fake-context.ts';

test.each([true, false])('kill -9 while a machine is ordered: it is looked for by its name, in its place, and ended (it was made: %s)', async (made) => {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-killed-'));
  const { stdout, signal, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'ordering-process.ts'), root], { encoding: 'utf8' });
  expect(signal, stderr).toBe('SIGKILL');
  const plan = JSON.parse(stdout) as LaunchPlan;
  let provider: FakeProvider | null = null;
  using fake = createFakeContext((clock) => {
    provider = createFakeProvider({ clock, expects: true });
    return { fake: provider };
  }, root);
  const { machines, calls, launch } = provider as unknown as FakeProvider;
  if (made) await launch(plan);
  expect(fake.context.ledger.list()).toMatchObject([{ id: plan.id, state: 'intent', requestId: plan.requestId, ref: { id: plan.id, createdAt: null } }]);
  await recover(fake.context);
  expect(calls).toEqual(made ? ['launch', 'terminate'] : ['terminate']); // no list of everything
  expect(machines.filter(({ goneAt }) => goneAt === null)).toEqual([]);
  expect(fake.context.ledger.list()).toMatchObject([{ state: 'gone', holder: null }]);
});
