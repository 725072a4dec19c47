/** What commands show, ask and load when machines come from Compute Engine. */
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { gcpForFile } from './suite/gcp-target.ts';
import { createProject, type Project } from './suite/project.ts';

const target = await gcpForFile({ operationMs: 0 });
const { emulator } = target;
/** What would bill. */
const left = () => emulator.instances().map(({ name }) => name);
const insertsOf = () => emulator.calls.filter(({ id }) => id === 'instances.insert').length;

let project: Project;
beforeEach(() => {
  emulator.faults.clear();
  emulator.clearCalls();
  project = createProject(target);
});
afterEach(async () => {
  await project[Symbol.asyncDispose]();
  expect(left()).toEqual([]);
});

/** Runs a command and returns the addresses of all modules that it loaded. */
async function modulesOf(args: readonly string[]): Promise<{ readonly code: number | null; readonly modules: readonly string[] }> {
  const recorder = new URL('../unit/cli/record-modules.ts', import.meta.url).href;
  const { code, stderr } = await project.run(args, { env: { NODE_OPTIONS: `--import=${recorder}` } });
  return { code, modules: stderr.split('\n').filter((line) => /^(file|node):/.test(line)) };
}

const googles = (modules: readonly string[]) => modules.filter((url) => /@google-cloud|google-auth|google-gax|gaxios|protobuf/.test(url));

describe('what is loaded', () => {
  test('status and cost read the ledger: no client of Google is loaded, nobody is asked', async () => {
    const up = await modulesOf(['up']);
    expect(up.code).toBe(0);
    expect(googles(up.modules).length).toBeGreaterThan(10); // else this test sees nothing
    const asked = emulator.calls.length;
    for (const args of [['status'], ['status', '--all', '--json'], ['cost'], ['cost', '--json'], ['logs', '--help']]) {
      const { code, modules } = await modulesOf(args);
      expect([args, code, googles(modules)]).toEqual([args, 0, []]);
      expect(modules.length).toBeGreaterThan(1);
    }
    expect(emulator.calls.length).toBe(asked);
  });
});

test('a project that is named is asked for: without credentials, or by a name that is none, reap is not through; where nothing is named it says that Google was not asked', async () => {
  const nobody = { GOOGLE_APPLICATION_CREDENTIALS: '', CLOUDSDK_CONFIG: project.folder };
  const reap = async (env: Readonly<Record<string, string>>) => {
    const { run, document } = await project.json(['reap'], { env });
    const { unreachable, notSetUp } = document;
    return { code: run.code, asked: unreachable.map(({ code: why }: { code: string }) => why), notSetUp };
  };
  expect(await reap(nobody)).toEqual({ code: 77, asked: ['not-allowed'], notSetUp: [] });
  expect(await reap({ GOOGLE_CLOUD_PROJECT: 'nope' })).toEqual({ code: 76, asked: ['bad-input'], notSetUp: [] });
  expect(await reap({ ...nobody, GOOGLE_CLOUD_PROJECT: '' })).toEqual({ code: 0, asked: [], notSetUp: ['gcp'] });
});

describe('failover', () => {
  test('the first 30 zones are out of stock: the first machine comes with the 31st order, and each place takes one line', async () => {
    const plan = await project.json(['up', '--dry-run']);
    const zones: string[] = plan.document.offers.map(({ zone }: { zone: string }) => zone);
    expect(zones.length).toBeGreaterThan(30);
    emulator.faults.stockout({ zones: zones.slice(0, 30) });
    const { run, document } = await project.json(['up']);
    expect(run.code, run.stderr).toBe(0);
    expect(insertsOf()).toBe(31);
    expect(document.machine).toMatchObject({ provider: 'gcp', zone: zones[30], spot: true });
    expect(document.attempts).toHaveLength(31);
    expect(document.attempts.map(({ zone }: { zone: string }) => zone)).toEqual(zones.slice(0, 31));
    const lines = run.stderr.split('\n').filter((line) => line.includes('has no L4 now; trying '));
    expect(lines).toHaveLength(30);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(80);
  });

  test('no zone has any: one table at the end, exit code 69, nothing left', async () => {
    emulator.faults.stockout();
    const run = await project.run(['up']);
    expect(run.code).toBe(69);
    expect(left()).toEqual([]);
    const tables = run.stderr.split('\n').filter((line) => line.includes('WHY NOT'));
    expect(tables).toHaveLength(1);
    expect(run.stderr).toMatch(/g2-standard-4 +\S+, \S+ and \d+ others/);
    expect(run.stderr).toContain('Try later, without --spot');
    const again = await project.json(['up', '--region', 'us-central1']);
    expect(again.run.code).toBe(69);
    expect(again.document).toMatchObject({ outcome: 'error', error: { code: 'no-capacity' } });
    const regions = new Set(again.document.attempts.map(({ region }: { region: string }) => region));
    expect([...regions]).toEqual(['us-central1']);
    expect((await project.json(['status', '--all'])).document.machines).toEqual([]);
  });

  test('a quota of the whole project: no order is tried in vain, and the text says what to ask for', async () => {
    emulator.setQuota('GPUS_ALL_REGIONS', 0);
    try {
      const { run, document } = await project.json(['up']);
      expect(run.code, run.stderr).toBe(69);
      expect(document.error).toMatchObject({ code: 'quota', message: expect.stringContaining('GPUS_ALL_REGIONS') });
      expect(document.error.hints.join(' ')).toContain('https://console.cloud.google.com/iam-admin/quotas?project=emulated');
      expect(insertsOf()).toBe(0);
    } finally {
      emulator.setQuota('GPUS_ALL_REGIONS', 1000);
    }
  });
});

describe('reap', () => {
  test('finds what this state folder made and lost, leaves others alone, and says which zones did not answer', async () => {
    const up = await project.json(['up']);
    expect(up.run.code, up.run.stderr).toBe(0);
    await using other = createProject({ ...target, env: { ...target.env, GPU_RUN_OWNER: 'somebody-else' } }, '', 'somebody-else');
    expect((await other.run(['up'])).code).toBe(0);
    const [mine, theirs] = [project.name, other.name].map((name) => emulator.instances().find((each) => each.name.startsWith(name))?.name);

    emulator.faults.unreachableZone('europe-west4-a');
    const partial = await project.json(['reap']);
    expect(partial.run.code).toBe(76);
    expect(partial.document.unreachable).toMatchObject([{ provider: 'gcp', message: expect.stringContaining('europe-west4-a') }]);
    expect(partial.document.kept).toMatchObject([{ id: mine }]);
    emulator.faults.clear();

    // As after a broken disk.
    rmSync(project.home, { recursive: true });
    const dry = await project.json(['reap', '--dry-run']);
    expect(dry.document.ended).toMatchObject([{ id: mine, provider: 'gcp' }]);
    expect(left().toSorted()).toEqual([mine, theirs].toSorted());
    const { run, document } = await project.json(['reap']);
    expect(run.code, run.stderr).toBe(0);
    expect(document).toMatchObject({ ended: [{ id: mine }], kept: [], unreachable: [], leftovers: [] });
    expect(left()).toEqual([theirs]);
  });
});
