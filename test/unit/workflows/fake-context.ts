/** A context with a real ledger, fake providers and a clock that the test turns; nothing can be reached over SSH. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { homePaths, prepareHome } from '../../../src/config/home.ts';
import { GpuRunError } from '../../../src/core/errors.ts';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import type { Report } from '../../../src/core/reporter.ts';
import { openSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { createRegistry } from '../../../src/providers/registry.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';
import type { RunContext } from '../../../src/workflows/context.ts';
import type { UpInput } from '../../../src/workflows/up.ts';

export interface FakeContext extends Disposable {
  readonly context: RunContext;
  readonly clock: FakeClock;
  readonly reports: Report[];
  readonly abort: AbortController;
}

/** `root`: the state folder; default a new one. It is removed in the end. */
export function createFakeContext(
  makeProviders: (clock: FakeClock) => Record<string, Provider>,
  root: string = mkdtempSync(join(tmpdir(), 'gpu-run-workflows-')),
): FakeContext {
  const clock = createFakeClock();
  const home = homePaths(root);
  prepareHome(home);
  const ledger = openSqliteLedger(home.ledger, clock);
  const reports: Report[] = [];
  const abort = new AbortController();
  const providers = makeProviders(clock);
  const context: RunContext = {
    providers: createRegistry(Object.fromEntries(Object.entries(providers).map(([id, provider]) => [id, async () => provider]))),
    ledger,
    connect: () => {
      throw new GpuRunError('connection', 'No route to that machine.', { retry: 'elsewhere' });
    },
    runner: { file: '/nowhere/runner.mjs', version: '0-0', cache: home.cache },
    program: ['/usr/bin/node', '/nowhere/bin/run.js'],
    reporter: { report: (report) => void reports.push(report) },
    clock,
    signal: abort.signal,
    home,
    self: ownIdentity(),
    owner: 'tester-1',
    user: 'tester',
    branch: 'main',
  };
  return {
    context,
    clock,
    reports,
    abort,
    [Symbol.dispose]: () => {
      ledger.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

export const fakeInput: UpInput = {
  name: 'cats',
  providers: ['fake'],
  need: { spot: false, regions: [], nodes: 1, providerOptions: {} },
  template: null,
  maxTimeSeconds: 4 * 3600,
  idleSeconds: 900,
  budgetUsd: null,
  forOneJob: false,
};
