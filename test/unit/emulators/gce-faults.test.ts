/** The emulator's faults: each in the form in which Compute Engine shows it, as often as it was ordered, and gone when taken back. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import type { FaultSwitches } from '../../emulators/gce/fault-switches.ts';
import { askGce, insertAndWait, instanceBody, openGceEmulator } from '../../support/gce-emulator.ts';

const zone = 'us-central1-a';
const instances = `/zones/${zone}/instances`;

test.each<[string, (faults: FaultSwitches) => void, object]>([
  [
    'a stock-out that names other zones',
    (faults) => faults.stockout({ zones: [zone], zonesWithCapacity: ['us-central1-b', 'us-east4-a'] }),
    {
      code: 'ZONE_RESOURCE_POOL_EXHAUSTED',
      errorDetails: expect.arrayContaining([
        { errorInfo: expect.objectContaining({ metadatas: expect.objectContaining({ zonesWithCapacity: 'us-central1-b,us-east4-a' }) }) },
      ]),
    },
  ],
  [
    'a regional stock-out',
    (faults) => faults.stockout({ regions: ['us-central1'], code: 'REGION_RESOURCE_POOL_EXHAUSTED' }),
    { code: 'REGION_RESOURCE_POOL_EXHAUSTED' },
  ],
  [
    'a quota of the region',
    (faults) => faults.quota({ metric: 'NVIDIA_L4_GPUS', region: 'us-central1', limit: 1 }),
    { code: 'QUOTA_EXCEEDED', message: expect.stringContaining('in region us-central1') },
  ],
  [
    'the quota of the project',
    (faults) => faults.quota({ metric: 'GPUS_ALL_REGIONS', region: null }),
    { code: 'QUOTA_EXCEEDED', message: expect.stringContaining('globally') },
  ],
])('%s stands in the finished operation, and nothing is left', async (_, order, error) => {
  const emulator = await openGceEmulator();
  order(emulator.faults);
  const ask = await askGce(emulator);
  const operation = await insertAndWait(ask, { name: 'one', zone });
  expect(operation).toMatchObject({ status: 'DONE', error: { errors: [error] } });
  expect(emulator.instances()).toEqual([]);
  expect(emulator.disks()).toEqual([]);
  emulator.faults.clear();
  expect((await insertAndWait(ask, { name: 'one', zone })).error).toBeUndefined();
});

test.each<[string, (faults: FaultSwitches) => void, number, string]>([
  ['no capacity at once', (faults) => faults.stockout({ http: true, times: 1 }), 503, 'insufficientCapacity'],
  ['a quota at once', (faults) => faults.quota({ metric: 'CPUS', region: 'us-central1', http: true, times: 1 }), 403, 'quotaExceeded'],
  ['too many calls', (faults) => faults.rateLimit({ times: 1, retryAfterSeconds: 3 }), 429, 'rateLimitExceeded'],
  ['too many calls, as 403', (faults) => faults.rateLimit({ times: 1, form: '403' }), 403, 'rateLimitExceeded'],
  ['too many operations', (faults) => faults.concurrentOperations({ times: 1 }), 403, 'rateLimitExceeded'],
  ['an internal error', (faults) => faults.serverError({ status: 500, times: 1 }), 500, 'backendError'],
  ['a permission', (faults) => faults.permissionDenied({ permission: 'compute.instances.create', times: 1 }), 403, 'forbidden'],
  ['an API that is off', (faults) => faults.serviceDisabled({ times: 1 }), 403, 'accessNotConfigured'],
  ['billing that is off', (faults) => faults.billingDisabled({ times: 1 }), 403, 'forbidden'],
  ['a closed zone', (faults) => faults.locationClosed({ zones: [zone], times: 1 }), 403, 'forbidden'],
  ['a missing type', (faults) => faults.machineTypeMissing({ zones: [zone], times: 1 }), 404, 'notFound'],
])('%s is answered once, then the order is taken', async (_, order, status, reason) => {
  const emulator = await openGceEmulator();
  order(emulator.faults);
  const ask = await askGce(emulator);
  const refused = await ask('POST', instances, instanceBody({ name: 'one', zone }));
  expect([refused.status, refused.json.error.errors[0].reason]).toEqual([status, reason]);
  expect(emulator.instances()).toEqual([]);
  expect((await ask('POST', instances, instanceBody({ name: 'one', zone }))).status).toBe(200);
});

test.each([
  ['before', 0],
  ['after', 1],
] as const)('a connection cut %s the effect leaves %i instances', async (when, left) => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  emulator.faults.reset({ calls: /^instances\.insert$/, when, times: 1 });
  const id = randomUUID();
  await expect(ask('POST', `${instances}?requestId=${id}`, instanceBody({ name: 'one', zone }))).rejects.toThrow();
  expect(emulator.instances()).toHaveLength(left);
  expect(emulator.calls.at(-1)).toMatchObject({ id: 'instances.insert', status: null });
  expect((await ask('POST', `${instances}?requestId=${id}`, instanceBody({ name: 'one', zone }))).status).toBe(200);
  expect(emulator.instances()).toHaveLength(1);
});

test('a call that is never answered hangs until the caller or the emulator ends it', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  const fault = emulator.faults.hang({ calls: /^zones\.list$/, when: 'before' });
  const asked = ask('GET', '/zones').then(
    () => 'answered',
    () => 'cut',
  );
  await vi.waitFor(() => expect(fault.hits()).toBe(1));
  await emulator.close();
  expect(await asked).toBe('cut');
});

test('an operation that never ends is still RUNNING when the wait is over', async () => {
  const emulator = await openGceEmulator({ waitMs: 20 });
  emulator.faults.operationNeverEnds({ types: /^insert$/ });
  expect((await insertAndWait(await askGce(emulator), { name: 'one', zone })).status).toBe('RUNNING');
});

test('an order that fails and leaves the instance all the same', async () => {
  const emulator = await openGceEmulator();
  emulator.faults.operationError({ errors: [{ code: 'RESOURCE_NOT_FOUND', message: 'not found' }], httpStatus: 404, keepsTarget: true });
  expect((await insertAndWait(await askGce(emulator), { name: 'one', zone })).error.errors[0].code).toBe('RESOURCE_NOT_FOUND');
  expect(emulator.instances().map(({ status }) => status)).toEqual(['RUNNING']);
});

test('a preempted machine is gone, and the operations say why; one that vanished left no word', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  await insertAndWait(ask, { name: 'one', zone });
  await insertAndWait(ask, { name: 'two', zone });
  const [{ id } = { id: '' }] = emulator.instances();
  await emulator.preempt('one');
  await emulator.vanish('two');
  expect(emulator.instances()).toEqual([]);
  const filter = encodeURIComponent(`operationType="compute.instances.preempted" AND targetId=${id}`);
  expect((await ask('GET', `/zones/${zone}/operations?filter=${filter}`)).json.items).toMatchObject([{ targetId: id, status: 'DONE' }]);
  expect((await ask('GET', `/zones/${zone}/operations`)).json.items.map((one: any) => one.operationType)).toEqual([
    'compute.instances.preempted',
    'insert',
    'insert',
  ]);
});

test('a machine ends when its run time is over', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  await insertAndWait(ask, { name: 'one', zone, runSeconds: 600 });
  expect(Date.parse((await ask('GET', `${instances}/one`)).json.resourceStatus.scheduling.terminationTimestamp)).toBe(emulator.instances()[0]?.terminatesAt);
  emulator.passTime(590_000);
  expect(emulator.instances()).toHaveLength(1);
  emulator.passTime(11_000);
  await vi.waitFor(() => expect(emulator.instances()).toEqual([]));
});

test('the guest hears of preemption and maintenance while it waits for them', async () => {
  const emulator = await openGceEmulator({ shutdownGraceMs: 0 });
  const ask = await askGce(emulator);
  const script = 'node -e "setInterval(() => {}, 1000)"';
  await insertAndWait(ask, { name: 'one', zone, metadata: { 'startup-script': `echo "metadata at $GCE_METADATA_HOST"; ${script}` } });
  await vi.waitFor(() => expect(emulator.instances()[0]?.console).toContain('metadata at'), { timeout: 10_000 });
  const host = /metadata at (\S+)/.exec(emulator.instances()[0]?.console ?? '')?.[1];
  const inGuest = (path: string) =>
    fetch(`http://${host}/computeMetadata/v1/instance/${path}`, { headers: { 'Metadata-Flavor': 'Google' } }).then((response) => response.text());
  expect((await fetch(`http://${host}/computeMetadata/v1/instance/name`)).status).toBe(403);
  const maintenance = inGuest('maintenance-event?wait_for_change=true');
  const preempted = inGuest('preempted?wait_for_change=true');
  await inGuest('name'); // the two before it have come in
  emulator.announceMaintenance('one');
  expect(await maintenance).toBe('TERMINATE_ON_HOST_MAINTENANCE');
  const over = emulator.preempt('one');
  expect(await preempted).toBe('TRUE');
  await over;
});

test.each([
  ['no driver', { driverMissing: true }, null],
  ['another count of GPUs', { gpuCount: 1 }, 1],
])('a machine with %s', async (_, trouble, gpus) => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  emulator.faults.machine(trouble);
  await insertAndWait(ask, { name: 'one', zone, type: 'g2-standard-24', metadata: { 'startup-script': 'nvidia-smi -L | grep -c UUID' } });
  await vi.waitFor(() => expect(emulator.instances()[0]?.console).toContain('startup-script exit status'), { timeout: 10_000 });
  expect(emulator.instances()[0]?.console).toContain(`startup-script: ${gpus ?? 0}`);
});

test('a machine that never gets SSH, and one without host keys', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  emulator.faults.machine({ names: /^mute$/, neverSsh: true });
  emulator.faults.machine({ names: /^keyless$/, noHostKeys: true });
  for (const name of ['mute', 'keyless']) await insertAndWait(ask, { name, zone });
  const look = (wanted: string) => emulator.instances().find(({ name }) => name === wanted);
  await vi.waitFor(() => expect(look('keyless')?.guestAttributes).toHaveProperty(['gpu-run/ssh-port']), { timeout: 10_000 });
  expect((await ask('GET', `${instances}/keyless/getGuestAttributes?queryPath=hostkeys/`)).status).toBe(404);
  expect(look('mute')).toMatchObject({ status: 'RUNNING', sshPort: null, console: expect.stringContaining('Failed to start ssh.service') });
});

test('thirty-one orders are taken within a moment', async () => {
  const emulator = await openGceEmulator({ bootMs: 60_000 });
  const ask = await askGce(emulator);
  const { json } = await ask('GET', '/zones');
  const zones: string[] = json.items.map(({ name }: { name: string }) => name);
  expect(zones.length).toBeGreaterThanOrEqual(40);
  emulator.faults.stockout({ zones: zones.slice(0, 30), machineTypes: ['n1-standard-4'] });
  for (const [index, where] of zones.slice(0, 31).entries()) {
    const operation = await insertAndWait(ask, { name: 'one', zone: where, type: 'n1-standard-4' });
    expect(operation.error === undefined).toBe(index === 30);
  }
  expect(emulator.calls.filter(({ id }) => id === 'instances.insert')).toHaveLength(31);
});

test('refresh tokens and federation are exchanged for tokens, until they are revoked', async () => {
  const emulator = await openGceEmulator();
  const { userFile, federationFile } = emulator.tokens;
  const user = JSON.parse(readFileSync(userFile, 'utf8'));
  const refresh = () =>
    fetch(user.token_uri, { method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: user.refresh_token }) });
  expect((await refresh()).status).toBe(200);
  emulator.tokens.expireUser();
  expect(await (await refresh()).json()).toMatchObject({ error: 'invalid_grant' });
  const { token_url: url, credential_source: source } = JSON.parse(readFileSync(federationFile, 'utf8'));
  const exchange = (subject: string) =>
    fetch(url, { method: 'POST', body: new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: subject }) });
  expect((await exchange(readFileSync(source.file, 'utf8'))).status).toBe(200);
  expect((await exchange('forged')).status).toBe(400);
});
