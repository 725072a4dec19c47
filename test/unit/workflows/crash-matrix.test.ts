/** gpu-run is killed with SIGKILL around all that makes, ends and books machines. `npm run test:lab` does it at every step that there is. */
import { expect, test } from 'vitest';
import { type Crash, crash, runCrashes } from '../../support/crash-matrix.ts';
import { prepareRigs } from '../providers/gcp/up-rig.ts';

prepareRigs();

const insert = 'POST zones/us-central1-a/instances';
const deletion = 'DELETE zones/us-central1-a/instances/-';
const moments: readonly Crash[] = [
  { command: 'up', at: `after ${insert}`, by: 'next' },
  { command: 'train', at: 'after ledger job queued', by: 'next' },
  { command: 'extend', at: 'after message arm', by: 'next' },
  { command: 'down', at: `after ${deletion}`, by: 'reap' },
];

test('killed around each order, each deletion and what is written down of them', async () => {
  const { died, failures } = await runCrashes(moments);
  expect(failures).toEqual([]);
  expect(died).toBe(moments.length);
}, 90_000);

test('the steps of a run that lives: the order is in the ledger before anybody hears of it, its end after', async () => {
  const { steps, died } = await crash({ command: 'train', at: null, by: 'reap' });
  console.log(`train, up and down within it: ${steps.length} steps at which it may be killed`);
  expect(died).toBe(false);
  const order = ['after ledger open', `before ${insert}`, `after ${insert}`, 'before ledger note launched', 'after ledger job queued'];
  const end = ['after ledger note ending', `before ${deletion}`, `after ${deletion}`, 'before ledger note gone'];
  const places = [...order, ...end].map((step) => steps.indexOf(step));
  expect(places).not.toContain(-1);
  expect(places).toEqual(places.toSorted((a, b) => a - b));
});
