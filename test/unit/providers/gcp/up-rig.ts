/**
 * The real workflow `up` with the real provider, Google's client library, SSH and a ledger, against the Compute Engine emulator: what a
 * fault leads to, which calls it costs, and what is left of it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { homePaths, prepareHome } from '../../../../src/config/home.ts';
import { GpuRunError } from '../../../../src/core/errors.ts';
import { ownIdentity } from '../../../../src/core/process-identity.ts';
import type { Report } from '../../../../src/core/reporter.ts';
import { openSqliteLedger } from '../../../../src/ledger/sqlite-ledger.ts';
import { openGcp } from '../../../../src/providers/gcp/open-gcp.ts';
import type { Provider } from '../../../../src/providers/provider.ts';
import { createRegistry } from '../../../../src/providers/registry.ts';
import { connectTransport } from '../../../../src/transport/connect.ts';
import type { RunContext } from '../../../../src/workflows/context.ts';
import { type UpInput, type UpResult, up } from '../../../../src/workflows/up.ts';
import type { GceEmulator, GceEmulatorOptions } from '../../../emulators/gce/gce-emulator.ts';
import { openGceEmulator } from '../../../support/gce-emulator.ts';
import { createHastyClock, type HastyClock } from '../../../support/hasty-clock.ts';
import { buildRunner } from '../../../support/runner.ts';
import { fakeInput } from '../../workflows/fake-context.ts';

export interface UpRig {
  readonly emulator: GceEmulator;
  readonly provider: Provider;
  readonly context: RunContext;
  readonly clock: HastyClock;
  readonly abort: AbortController;
  /** `L4:1 --spot` in us-central1, unless told otherwise. */
  up(need?: Partial<Need>): Promise<Outcome>;
  /** Before the test's end, for tests that open many. */
  close(): Promise<void>;
}

type Need = Omit<UpInput['need'], 'gpu'> & { readonly gpu: UpInput['need']['gpu'] | null };

/** A machine without GPU, on demand: up sooner than one with. */
export const cpu: Partial<Need> = { gpu: null, spot: false };

export interface UpRigOptions extends GceEmulatorOptions {
  /** Pauses are skipped while a machine boots, too, until it can be connected to. */
  readonly skipsBoot?: boolean;
}

export interface Outcome {
  readonly result: UpResult | null;
  /** Of class GpuRunError; another fails the test. */
  readonly error: GpuRunError | null;
  /** Message and hints, and those of all attempts. */
  readonly text: string;
  /** Milliseconds of the clock. */
  readonly tookMs: number;
  /** Zones, in the order in which they were asked. */
  readonly inserts: readonly string[];
  /** Of the inserts. */
  readonly requestIds: readonly string[];
  /** How often a call was made: `instances.delete`. */
  readonly calls: (id: string) => number;
}

let folder = '';
let script = '';
const open = new Set<() => void>();

/** To be called once in a file that opens rigs. */
export function prepareRigs(): void {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gpu-run-up-'));
    script = buildRunner(folder);
    // What is loaded at the first call would look like an idle pause.
    const { provider, emulator } = await openRig();
    for await (const offer of provider.offers({ ...fakeInput.need, gpu: { name: 'L4', count: 1 } })) expect(offer.provider).toBe('gcp');
    await emulator.close();
  });
  afterEach(() => {
    for (const close of open) close();
    open.clear();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
}

/** `env`: on top of the emulator's. */
export async function openRig(
  { skipsBoot = false, ...options }: UpRigOptions = {},
  env: (emulator: GceEmulator) => Readonly<Record<string, string>> = () => ({}),
): Promise<UpRig> {
  const emulator = await openGceEmulator({ shutdownGraceMs: 0, ...options });
  const root = mkdtempSync(join(folder, 'home-'));
  const home = homePaths(root);
  prepareHome(home);
  let isReal = () => false;
  const clock = createHastyClock({
    port: Number(new URL(emulator.endpoint).port),
    unanswered: () => emulator.calls.filter(({ status }) => status === null).length,
    isReal: () => isReal(),
  });
  const ledger = openSqliteLedger(home.ledger, clock);
  // Real machines boot and answer in real time.
  isReal = () => ledger.list({ live: true }).some(({ state, access }) => state === 'launched' && !(skipsBoot && access === null));
  const close = () => {
    clock[Symbol.dispose]();
    isReal = () => false;
    ledger.close();
  };
  open.add(close);
  const reports: Report[] = [];
  const provider = openGcp({
    env: { ...emulator.env, ...env(emulator) },
    platform: process.platform,
    clock,
    state: join(root, 'gcp'),
    cache: join(root, 'gcp-cache'),
    warn: (text) => void reports.push({ type: 'note', level: 'warn', text }),
  });
  const abort = new AbortController();
  const context: RunContext = {
    providers: createRegistry({ gcp: async () => provider }),
    ledger,
    connect: ({ id, access }) => {
      if (access === null) throw new Error('a machine without an address');
      return connectTransport({ access, identityFile: join(home.keys, id), scratch: home.scratch });
    },
    runner: { file: script, version: 'test-1', cache: home.cache },
    program: [process.execPath, '/nowhere/bin/run.js'],
    reporter: { report: (report) => void reports.push(report) },
    clock,
    signal: abort.signal,
    home,
    self: ownIdentity(),
    owner: 'tester-1',
    user: 'tester',
    branch: null,
  };

  return {
    emulator,
    provider,
    context,
    clock,
    abort,
    async close() {
      open.delete(close);
      close();
      await emulator.close();
    },
    async up({ gpu = { name: 'L4', count: 1 }, ...need } = {}) {
      const begun = clock.now();
      const before = emulator.calls.length;
      const wanted = { ...fakeInput.need, ...(gpu === null ? {} : { gpu }), spot: true, regions: ['us-central1'], ...need };
      const input = { ...fakeInput, providers: ['gcp'], need: wanted };
      const ended = await up(input, context).then(
        (result) => ({ result, error: null }),
        (error: unknown) => {
          if (!(error instanceof GpuRunError) || error.code === 'internal') throw error;
          return { result: null, error };
        },
      );
      const { error } = ended;
      const calls = emulator.calls.slice(before);
      const inserts = calls.filter(({ id }) => id === 'instances.insert');
      const said = [error, ...(error?.attempts ?? []).map((attempt) => attempt.error)];
      return {
        ...ended,
        text: said.flatMap((each) => (each === null ? [] : [each.message, ...each.hints])).join('\n'),
        tookMs: clock.now() - begun,
        inserts: inserts.map(({ path }) => /\/zones\/([^/]+)\//.exec(path)?.[1] ?? path),
        requestIds: inserts.map(({ query }) => new URLSearchParams(query).get('requestId') ?? ''),
        calls: (id) => calls.filter((call) => call.id === id).length,
      };
    },
  };
}

/** Nothing exists, and nothing is believed to. */
export function expectNothingLeft({ emulator, context }: UpRig): void {
  expect(emulator.instances().map(({ name }) => name)).toEqual([]);
  expect(emulator.disks()).toEqual([]);
  expect(context.ledger.list({ live: true })).toEqual([]);
}

/** One machine, ready, and no other. */
export function expectOneUp({ emulator, context }: UpRig, { result, error }: Outcome, zone?: string): void {
  expect(error).toBeNull();
  const { machine } = result as UpResult;
  expect(machine.state).toBe('ready');
  if (zone !== undefined) expect(machine.offer.zone).toBe(zone);
  expect(emulator.instances().map(({ name, zone: at, status }) => [name, at, status])).toEqual([[machine.id, machine.offer.zone, 'RUNNING']]);
  expect(context.ledger.list({ live: true }).map(({ id, state }) => [id, state])).toEqual([[machine.id, 'ready']]);
}
