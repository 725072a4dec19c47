/** What goes wrong around a machine: the way in, the project, the choice of how to buy. */
import { expect, test } from 'vitest';
import type { Clock } from '../../../../src/core/clock.ts';
import { toGpuRunError } from '../../../../src/core/errors.ts';
import { collect } from '../../../contract/provider.ts';
import { askGce } from '../../../support/gce-emulator.ts';
import { hastyClock, openGcpRig } from './gcp-rig.ts';

const failureOf = async (work: Promise<unknown>) =>
  toGpuRunError(
    await work.then(
      () => new Error('it worked'),
      (error: unknown) => error,
    ),
  );

test('what stands in the way of the firewall rule keeps no machine from coming up, and none from ending', async () => {
  // Its limit, and no other, is over at once.
  const clock: Clock = { ...hastyClock, sleep: (ms, signal) => hastyClock.sleep(ms === 45_000 ? 200 : ms, signal) };
  const { emulator, provider, warnings, plan } = await openGcpRig({ allowSshRule: false, operationMs: 10_000 }, {}, { ...clock });
  emulator.faults.operationSlow({ ms: 0, zones: ['us-central1-a'] });
  const ref = await provider.launch(await plan());
  expect(warnings.join()).toContain('SSH may not get in');
  emulator.faults.serverError({ calls: /^firewalls\./ });
  await provider.terminate(ref);
  expect(emulator.instances().map(({ name, status }) => [name, status])).not.toContainEqual([ref.id, 'RUNNING']);
});

test('an order that nobody saw the end of is found in its own project, whatever the environment names later', async () => {
  const { emulator, provider, again, plan } = await openGcpRig();
  const order = await plan();
  const expected = provider.expect?.(order);
  await provider.launch(order);
  const elsewhere = again({ GOOGLE_CLOUD_PROJECT: 'another-project' });
  if (expected === undefined) throw new Error('gcp expects nothing');
  expect(await elsewhere.terminate(JSON.parse(JSON.stringify(expected)))).toMatchObject({ state: 'ending' });
  await expect.poll(() => emulator.instances().map(({ name }) => name)).toEqual([]);
});

test('a project that can not be asked keeps the others from nothing', async () => {
  const { emulator, provider, again, plan } = await openGcpRig();
  const { id } = await provider.launch(await plan());
  const found: string[] = [];
  const listing = (async () => {
    for await (const ref of again({ GOOGLE_CLOUD_PROJECT: 'another-project' }).list('ann-x7k2pq')) found.push(ref.id);
  })();
  expect((await failureOf(listing)).message).toContain('another-project');
  expect(found).toEqual([id]);
  expect(emulator.instances()).toHaveLength(1);
});

test('the network of a machine is the one that Google says it is in', async () => {
  const { provider, plan } = await openGcpRig();
  expect((await provider.launch(await plan())).data).toMatchObject({ network: 'default' });
});

test('--spot and another way of buying in the config exclude each other', async () => {
  const { provider } = await openGcpRig();
  const need = { spot: true, regions: ['us-central1'], nodes: 1, gpu: { name: 'L4', count: 1 }, providerOptions: { gcp: { provisioning: 'standard' } } };
  expect(await failureOf(collect(provider.offers(need)))).toMatchObject({ code: 'bad-input', message: expect.stringContaining('gcp.provisioning') });
});

test('whoever interrupts while nothing was ordered yet does not wait', async () => {
  const { emulator, provider, plan } = await openGcpRig();
  const order = await plan();
  const asked = emulator.faults.hang({ calls: /^images\./, when: 'before' });
  const abort = new AbortController();
  const launching = failureOf(provider.launch(order, abort.signal));
  await expect.poll(asked.hits).toBe(1);
  abort.abort();
  expect(await launching).toMatchObject({ code: 'interrupted', leftBehind: 'nothing' });
});

test('a queued start is an order that Google takes, and its key outlives the queue', async () => {
  const { emulator, provider, plan } = await openGcpRig({}, { gpu: { name: 'L4', count: 1 }, providerOptions: { gcp: { provisioning: 'flex-start' } } });
  const order = await plan();
  await provider.launch(order);
  const expiry = /"expireOn":"([^"]+)"/.exec(emulator.instances()[0]?.metadata['ssh-keys'] ?? '')?.[1]?.replace('+0000', 'Z') ?? '';
  expect(Date.parse(expiry)).toBeGreaterThan(order.deadline + 2 * 3_600_000);
});

test('without credentials nothing can be ended, and the command that does it by hand is told', async () => {
  const { provider, again, plan } = await openGcpRig();
  const ref = await provider.launch(await plan());
  const failure = await failureOf(again({ GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json' }).terminate(ref));
  expect(failure.code).toBe('not-allowed');
  expect(failure.hints).toContain(`gcloud compute instances delete ${ref.id} --zone=us-central1-a --project=emulated --quiet`);
});

test('whoever has moved to another network is let in again, once', async () => {
  const { emulator, provider, plan } = await openGcpRig({ allowSshRule: false });
  const ref = await provider.launch(await plan());
  const rule = emulator.firewalls().find((name) => name.startsWith('gpu-run-ssh-')) ?? '';
  const ask = await askGce(emulator);
  await ask('PATCH', `/global/firewalls/${rule}`, { sourceRanges: ['198.51.100.7/32'] });
  const { signal } = new AbortController();
  expect(await provider.letIn?.(ref, signal)).toBe(true);
  expect((await ask('GET', `/global/firewalls/${rule}`)).json.sourceRanges).toEqual(['127.0.0.1/32']);
  expect(await provider.letIn?.(ref, signal)).toBe(false);
  expect(provider.endByHand?.(ref)).toBe(`gcloud compute instances delete ${ref.id} --zone=us-central1-a --project=emulated --quiet`);
});
