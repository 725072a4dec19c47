/** The emulator's HTTP side, asked with plain fetch: as strict as the API, and wrong where it is told to be. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { messageProblems } from '../../emulators/gce/check-message.ts';
import { loadSchema } from '../../emulators/gce/proto-schema.ts';
import { askGce, type GceAnswer, insertAndWait, instanceBody, openGceEmulator } from '../../support/gce-emulator.ts';

const zone = 'us-central1-a';
const instances = `/zones/${zone}/instances`;

function reasonOf({ status, json }: GceAnswer): string {
  return `${status} ${json.error?.errors?.[0]?.reason}`;
}

test('without a token of its own, with a foreign one or a revoked one: 401', async () => {
  const emulator = await openGceEmulator();
  const url = `${emulator.endpoint}/compute/v1/projects/${emulator.project}/zones`;
  expect((await fetch(url)).status).toBe(401);
  expect((await fetch(url, { headers: { Authorization: 'Bearer ya29.foreign' } })).status).toBe(401);
  const ask = await askGce(emulator);
  expect((await ask('GET', '/zones')).status).toBe(200);
  emulator.tokens.revokeAll();
  expect((await ask('GET', '/zones')).status).toBe(401);
});

test.each<[string, (body: any) => void, RegExp]>([
  ['a misspelt field', (body) => (body.scheduling.provisionningModel = 'SPOT'), /Unknown name "provisionningModel" at 'resource\.scheduling'/],
  ['a word that is none of the enum', (body) => (body.scheduling.provisioningModel = 'CHEAP'), /resource\.scheduling\.provisioningModel/],
  ['text for a boolean', (body) => (body.scheduling.automaticRestart = 'false'), /automaticRestart/],
  ['an output-only field', (body) => (body.status = 'RUNNING'), /Output-only/],
  ['a bad name', (body) => (body.name = 'Upper'), /resource\.name.*regex/],
  ['a label in capitals', (body) => (body.labels.Owner = 'ann'), /lower-case/],
  ['a machine type of another zone', (body) => (body.machineType = 'zones/us-east1-b/machineTypes/g2-standard-4'), /machineType/],
  ['a machine type that the zone has not', (body) => (body.machineType = `zones/${zone}/machineTypes/a4-highgpu-8g`), /does not exist/],
  ['live migration with GPUs', (body) => (body.scheduling.onHostMaintenance = 'MIGRATE'), /live migration/],
  ['a Spot machine that restarts', (body) => delete body.scheduling.automaticRestart, /automatic restart/],
  ['a run time of 29 seconds', (body) => (body.scheduling.maxRunDuration.seconds = '29'), /30 seconds and 120 days/],
  ['a run time of more than 120 days', (body) => (body.scheduling.maxRunDuration.seconds = String(120 * 86_400 + 1)), /30 seconds and 120 days/],
  ['a run time without an end', (body) => delete body.scheduling.instanceTerminationAction, /instanceTerminationAction/],
  ['a disk smaller than its image', (body) => (body.disks[0].initializeParams.diskSizeGb = '20'), /smaller than the image size \(50 GB\)/],
  ['a disk type that the family has not', (body) => (body.disks[0].initializeParams.diskType = `zones/${zone}/diskTypes/hyperdisk-balanced`), /not compatible/],
  [
    'GPUs beside those of the type',
    (body) => (body.guestAccelerators = [{ acceleratorType: `zones/${zone}/acceleratorTypes/nvidia-l4`, acceleratorCount: 1 }]),
    /not compatible/,
  ],
  ['an item of metadata twice', (body) => body.metadata.items.push(body.metadata.items[0]), /Duplicate/],
])('an order with %s is refused with 400, and nothing comes of it', async (_, spoil, words) => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  const body = instanceBody({ name: 'one', zone });
  spoil(body);
  const { status, json } = await ask('POST', instances, body);
  expect(json.error?.message).toMatch(words);
  expect(status).toBe(400);
  expect(emulator.instances()).toEqual([]);
});

test.each([
  ['n1-standard-4', 'nvidia-tesla-t4', zone, 'us-central1-a', 200],
  ['n1-standard-4', 'nvidia-tesla-t4', 'us-east1-b', 'us-east1-b', 404],
  ['n1-standard-4', 'nvidia-l4', zone, 'us-central1-a', 400],
  ['e2-standard-4', 'nvidia-tesla-t4', zone, 'us-central1-a', 400],
])('%s with %s in %s', async (type, accelerator, where, _, status) => {
  const ask = await askGce(await openGceEmulator());
  const guestAccelerators = [{ acceleratorType: `zones/${where}/acceleratorTypes/${accelerator}`, acceleratorCount: 1 }];
  expect((await ask('POST', `/zones/${where}/instances`, { ...instanceBody({ name: 'one', zone: where, type }), guestAccelerators })).status).toBe(status);
});

test('every answer is one of the API: no field that its protos do not know, 64-bit ids as text', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  const operation = await insertAndWait(ask, { name: 'one', zone });
  expect(operation).toMatchObject({ status: 'DONE', operationType: 'insert', id: expect.stringMatching(/^\d{19}$/) });
  const schema = loadSchema();
  const asked: [string, string][] = [
    [`${instances}/one`, 'Instance'],
    [instances, 'InstanceList'],
    ['/aggregated/instances', 'InstanceAggregatedList'],
    ['/aggregated/disks', 'DiskAggregatedList'],
    ['/aggregated/machineTypes', 'MachineTypeAggregatedList'],
    ['/aggregated/acceleratorTypes', 'AcceleratorTypeAggregatedList'],
    ['/regions', 'RegionList'],
    ['/zones', 'ZoneList'],
    ['', 'Project'],
    ['/global/firewalls', 'FirewallList'],
    [`${instances}/one/getEffectiveFirewalls?networkInterface=nic0`, 'InstancesGetEffectiveFirewallsResponse'],
    [`${instances}/one/serialPort`, 'SerialPortOutput'],
    [`/zones/${zone}/operations`, 'OperationList'],
    ['/compute/v1/projects/debian-cloud/global/images/family/debian-12', 'Image'],
  ];
  for (const [path, type] of asked) {
    const { status, json } = await ask('GET', path);
    expect({ path, status, problems: messageProblems(schema, type, json, type, true).slice(0, 3) }).toEqual({ path, status: 200, problems: [] });
  }
});

test('the same request id is the same order; another one meets the name', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  const id = randomUUID();
  const body = instanceBody({ name: 'one', zone });
  const [first, again] = [await ask('POST', `${instances}?requestId=${id}`, body), await ask('POST', `${instances}?requestId=${id}`, body)];
  expect(again.json.name).toBe(first.json.name);
  expect(reasonOf(await ask('POST', `${instances}?requestId=${randomUUID()}`, body))).toBe('409 alreadyExists');
  expect((await ask('POST', `${instances}?requestId=no-uuid`, body)).status).toBe(400);
  const gone = await ask('DELETE', `${instances}/one?requestId=${id}`);
  await ask('POST', `/zones/${zone}/operations/${gone.json.name}/wait`);
  expect((await ask('DELETE', `${instances}/one?requestId=${id}`)).json.name).toBe(gone.json.name);
  expect(reasonOf(await ask('DELETE', `${instances}/one?requestId=${randomUUID()}`))).toBe('404 notFound');
});

test('unknown query parameters, paths, zones and projects are refused', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  expect((await ask('GET', `${instances}?returnEverything=true`)).json.error.message).toMatch(/Unknown name "returnEverything"/);
  expect((await ask('GET', `${instances}?maxResults=many`)).status).toBe(400);
  expect((await ask('GET', `/zones/${zone}/machines`)).status).toBe(404);
  expect((await ask('GET', '/zones/us-nowhere1-a/instances')).json.error.message).toMatch(/Unknown zone/);
  expect((await ask('GET', '/compute/v1/projects/other/zones')).status).toBe(404);
});

test('lists are filtered by labels and paged, and name the zones that did not answer', async () => {
  const emulator = await openGceEmulator({ pageSize: 1 });
  const ask = await askGce(emulator);
  await insertAndWait(ask, { name: 'one', zone, labels: { 'gpu-run-owner': 'ann' } });
  await insertAndWait(ask, { name: 'two', zone: 'us-central1-b', labels: { 'gpu-run-owner': 'ann' } });
  await insertAndWait(ask, { name: 'three', zone, labels: { 'gpu-run-owner': 'bob' } });
  const names = async () => {
    const found: string[] = [];
    const unreachables = new Set<string>();
    for (let token: string | undefined, page = 0; page < 9; page++) {
      const query = new URLSearchParams({ filter: 'labels.gpu-run-owner=ann', ...(token === undefined ? {} : { pageToken: token }) });
      const { json } = await ask('GET', `/aggregated/instances?${query}`);
      for (const scope of Object.values<any>(json.items)) for (const instance of scope.instances ?? []) found.push(instance.name);
      for (const name of json.unreachables ?? []) unreachables.add(name);
      token = json.nextPageToken;
      if (token === undefined) break;
    }
    return { found: found.sort(), unreachables: [...unreachables] };
  };
  expect(await names()).toEqual({ found: ['one', 'two'], unreachables: [] });
  const closed = emulator.faults.unreachableZone('us-central1-b');
  expect(await names()).toEqual({ found: ['one'], unreachables: [`projects/${emulator.project}/zones/us-central1-b`] });
  closed.remove();
  expect((await names()).found).toEqual(['one', 'two']);
  expect((await ask('GET', '/aggregated/instances?filter=labels.a%3D%3D')).status).toBe(400);
});

test('metadata and labels change with the right fingerprint only', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  await insertAndWait(ask, { name: 'one', zone });
  const items = [{ key: 'more', value: 'x' }];
  expect(reasonOf(await ask('POST', `${instances}/one/setMetadata`, { items, fingerprint: 'old' }))).toBe('412 conditionNotMet');
  const { json } = await ask('GET', `${instances}/one`);
  const { json: operation } = await ask('POST', `${instances}/one/setMetadata`, { items, fingerprint: json.metadata.fingerprint });
  await ask('POST', `/zones/${zone}/operations/${operation.name}/wait`);
  expect(emulator.instances()[0]?.metadata).toEqual({ more: 'x' });
});

test('quotas of region and project are counted and enforced', async () => {
  const emulator = await openGceEmulator({ quotas: { 'us-central1/PREEMPTIBLE_NVIDIA_L4_GPUS': 1 } });
  const ask = await askGce(emulator);
  await insertAndWait(ask, { name: 'one', zone });
  const { json: region } = await ask('GET', '/regions/us-central1');
  expect(region.quotas).toContainEqual({ metric: 'PREEMPTIBLE_NVIDIA_L4_GPUS', limit: 1, usage: 1 });
  const refused = await ask('POST', instances, instanceBody({ name: 'two', zone }));
  expect(refused.json.error.message).toMatch(/Quota 'PREEMPTIBLE_NVIDIA_L4_GPUS' exceeded\. {2}Limit: 1\.0 in region us-central1\./);
  expect(reasonOf(refused)).toBe('403 quotaExceeded');
  expect((await ask('POST', '/zones/us-east4-a/instances', instanceBody({ name: 'two', zone: 'us-east4-a' }))).status).toBe(200);
  emulator.setQuota('GPUS_ALL_REGIONS', 2);
  expect((await ask('POST', '/zones/us-west1-a/instances', instanceBody({ name: 'three', zone: 'us-west1-a' }))).json.error.message).toMatch(/globally/);
});

test('firewall rules: made, changed, effective, taken away', async () => {
  const emulator = await openGceEmulator({ allowSshRule: false });
  const ask = await askGce(emulator);
  await insertAndWait(ask, { name: 'one', zone });
  const effective = async () => (await ask('GET', `${instances}/one/getEffectiveFirewalls?networkInterface=nic0`)).json.firewalls.map((rule: any) => rule.name);
  expect(await effective()).toEqual(['default-allow-internal']);
  const rule = {
    name: 'gpu-run-ssh',
    network: 'global/networks/default',
    sourceRanges: ['192.0.2.1/32'],
    targetTags: ['gpu-run'],
    allowed: [{ IPProtocol: 'tcp', ports: ['22'] }],
  };
  const done = async ({ json }: GceAnswer) => await ask('POST', `/global/operations/${json.name}/wait`);
  await done(await ask('POST', '/global/firewalls', rule));
  expect(await effective()).toContain('gpu-run-ssh');
  await done(await ask('PATCH', '/global/firewalls/gpu-run-ssh', { disabled: true }));
  expect((await ask('GET', '/global/firewalls/gpu-run-ssh')).json).toMatchObject({ disabled: true, sourceRanges: ['192.0.2.1/32'] });
  await done(await ask('DELETE', '/global/firewalls/gpu-run-ssh'));
  expect((await ask('GET', '/global/firewalls/gpu-run-ssh')).status).toBe(404);
});

test('images by family, advice, and prices', async () => {
  const emulator = await openGceEmulator();
  const ask = await askGce(emulator);
  const { json: image } = await ask('GET', '/compute/v1/projects/deeplearning-platform-release/global/images/family/common-cu129-ubuntu-2204-nvidia-580');
  expect(image).toMatchObject({ name: 'common-cu129-ubuntu-2204-v20260818', diskSizeGb: '50' });
  expect((await ask('GET', '/compute/v1/projects/deeplearning-platform-release/global/images/family/common-cu121-debian-11')).status).toBe(404);
  const advice = { instanceFlexibilityPolicy: { instanceSelections: { s: { machineTypes: ['g2-standard-8'] } } }, size: 1 };
  expect((await ask('POST', '/regions/us-central1/advice/capacity', advice)).json.recommendations[0].scores.obtainability).toBeGreaterThan(0);
  const { json: prices } = await ask('GET', '/v1/services/6F81-5844-456A/skus?pageSize=100');
  expect(prices.skus).toHaveLength(100);
  expect(prices.nextPageToken).toBe('100');
});
