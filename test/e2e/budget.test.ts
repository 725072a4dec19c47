/** The end of the money, for real: a machine with a price, its watchdog, SSH, and a budget of seconds. Only the price is made up. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { verdictOf } from '../../src/cli/job-verdict.ts';
import { type OpenContext, openContext, openProviders } from '../../src/compose.ts';
import { silentReporter } from '../../src/core/reporter.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { createRegistry } from '../../src/providers/registry.ts';
import { down } from '../../src/workflows/down.ts';
import { reportCost } from '../../src/workflows/report-cost.ts';
import { type TrainInput, train } from '../../src/workflows/train.ts';
import { processesWith } from './suite/project.ts';

const root = mkdtempSync(join(tmpdir(), 'gpu-run-budget-'));
/** A cent a second. */
const perHour = 36;
const budgetUsd = 0.2;
/** A thousandth of a cent a byte, so that some bytes are seen in a bill. */
const egress = { perGb: 10_000, currency: 'USD', asOf: 0, source: 'the test' } as const;

let open: OpenContext | null = null;
afterAll(async () => {
  if (open !== null) {
    await down({ names: [], all: true }, open.context);
    open.close();
  }
  rmSync(root, { recursive: true, force: true });
});

/** The embedded provider, for money. */
async function openWithPrice(): Promise<OpenContext> {
  const env = { PATH: process.env['PATH'], METADATA_SERVER_DETECTION: 'none', GPU_RUN_NODE_MIRROR: 'off' };
  const options = { home: join(root, 'home'), env, reporter: silentReporter, signal: new AbortController().signal, folder: root };
  const local = await openProviders(options).get('local');
  const priced: Provider = {
    ...local,
    async *offers(need, signal) {
      for await (const offer of local.offers(need, signal)) yield { ...offer, egress, price: { ...offer.price, perHour } };
    },
  };
  return openContext({ ...options, providers: createRegistry({ local: async () => priced }) });
}

const name = `budget-${Math.random().toString(36).slice(2, 10)}`;
const script = `trap 'mkdir -p checkpoints; echo step-7 > checkpoints/last; echo saved; exit 0' TERM
echo working
while :; do sleep 0.02; done
`;
const input: TrainInput = {
  up: {
    name,
    providers: ['local'],
    need: { spot: false, regions: [], nodes: 1, providerOptions: {} },
    template: null,
    maxTimeSeconds: 3600,
    idleSeconds: null,
    budgetUsd,
    forOneJob: true,
  },
  command: { kind: 'argv', argv: ['sh', 'train.sh'] },
  setup: null,
  env: {},
  secrets: {},
  sync: { code: root, exclude: ['home/', 'checkpoints/'], data: [] },
  outputs: ['checkpoints/'],
  folder: root,
  metrics: {},
  graceMs: 5_000,
  retry: { on: [], attempts: 1, resumeFrom: null },
  preemptSignal: null,
  detach: false,
  teardown: 'auto',
  keepOnFailure: false,
};

test('the job saves its work, its outputs are pulled, the machine is gone, the call ends with 91, and the bill is within the budget', async () => {
  writeFileSync(join(root, 'train.sh'), script);
  open = await openWithPrice();
  const { context } = open;
  const written: string[] = [];
  const result = await train(input, context, (event) => void (event.type === 'log' && written.push(Buffer.from(event.bytes).toString())));
  expect(result.job.end).toMatchObject({ code: 0, reason: 'budget' });
  expect(written.join('')).toMatch(/^working\n(Terminated\n)?saved\n$/); // the shell tells of its own sleep
  expect(readFileSync(join(root, 'checkpoints', 'last'), 'utf8')).toBe('step-7\n');
  const { failure } = verdictOf(result.job, result.leftovers);
  expect(failure).toMatchObject({ code: 'budget', hints: [expect.stringContaining('--budget')] });
  expect(exitCodes[failure?.code ?? 'internal']).toBe(91);

  expect(result.machineDown).toBe(true);
  expect(context.ledger.list({ live: true })).toEqual([]);
  expect(processesWith(result.machine.id)).toEqual([]);
  const bill = reportCost({ by: 'machine', since: null }, context);
  const fetched = written.join('').length + 'step-7\n'.length;
  expect(bill.totalEgressUsd).toBeCloseTo(fetched * 1e-5, 9);
  const forTime = bill.totalUsd - (bill.totalEgressUsd ?? 0);
  expect(forTime).toBeGreaterThan(budgetUsd / 4);
  expect(forTime).toBeLessThanOrEqual(budgetUsd + perHour / 3600);
  expect(result.cost.items.map(({ usd }) => usd)).toEqual([expect.closeTo(forTime, 9), expect.closeTo(bill.totalEgressUsd ?? 0, 9)]);
  expect(result.cost.usd).toBeCloseTo(bill.totalUsd, 9);
});
