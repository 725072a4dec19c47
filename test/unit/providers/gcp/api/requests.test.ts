/** What each call sends, through Google's client library, and what it makes of the answer. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../../../src/core/clock.ts';
import type { GceApi } from '../../../../../src/providers/gcp/gce-api.ts';
import { type GoogleServer, json, openApi, startGoogle } from './google-server.ts';

const operation = { id: '1234567890123456789', name: 'operation-1', operationType: 'insert', status: 'RUNNING', zone: 'https://x/zones/us-central1-a' };
const instance = {
  id: '6543210987654321098',
  name: 'gr-a',
  zone: 'https://x/zones/us-central1-a',
  status: 'SOMETHING_NEW',
  machineType: 'https://x/machineTypes/g2-standard-8',
  fieldOfNextYear: { a: 1 },
};
const zone = 'us-central1-a';
const base = '/compute/v1/projects/proj-test';

let google: GoogleServer;
let api: GceApi;
beforeEach(async () => {
  google = await startGoogle((_request, response) => json(response, operation));
  api = await openApi(google);
});
afterEach(async () => await google[Symbol.asyncDispose]());

test('an order goes out whole, with its request id and a token', async () => {
  const body = { name: 'gr-a', labels: { 'gpu-run': '1' }, scheduling: { provisioningModel: 'SPOT', maxRunDuration: { seconds: '3600' } } };
  const done = await api.insertInstance(zone, body, '0b9a6d3e-2c5f-4a56-9d5c-9f0d3a2b1c0d');
  expect(done).toEqual(operation);
  const [sent] = google.received;
  expect(`${sent!.method} ${sent!.url}`).toBe(`POST ${base}/zones/${zone}/instances?requestId=0b9a6d3e-2c5f-4a56-9d5c-9f0d3a2b1c0d`);
  expect(JSON.parse(sent!.body)).toEqual(body);
  expect(sent!.headers.authorization).toBe('Bearer token-1');
  expect(sent!.headers['x-goog-api-client']).toContain('gapic/7.');
});

test('a body with a misspelt field is not sent', async () => {
  const misspelt = { name: 'gr-a', scheduling: { provisionningModel: 'SPOT' } };
  await expect(api.insertInstance(zone, misspelt, 'id')).rejects.toMatchObject({
    code: 'internal',
    message: expect.stringContaining('scheduling.provisionningModel'),
  });
  await expect(api.insertFirewall({ name: 'f', sourceRange: ['1.2.3.4/32'] } as never, 'id')).rejects.toThrow('sourceRange is not known');
  await expect(api.patchFirewall('f', { priority: '1' } as never, 'id')).rejects.toThrow('priority must be a whole number');
  expect(google.received).toEqual([]);
});

test('an instance comes as the API sent it, values and fields that nobody knows included', async () => {
  google.answer = (_request, response) => json(response, instance);
  expect(await api.getInstance(zone, 'gr-a')).toEqual(instance);
});

test('what is not there is null or empty', async () => {
  google.answer = (_request, response) => json(response, { error: { code: 404, message: 'not found', errors: [{ reason: 'notFound' }] } }, 404);
  expect(await api.getInstance(zone, 'x')).toBeNull();
  expect(await api.deleteInstance(zone, 'x', 'id')).toBeNull();
  expect(await api.deleteDisk(zone, 'x', 'id')).toBeNull();
  expect(await api.getFirewall('x')).toBeNull();
  expect(await api.deleteFirewall('x', 'id')).toBeNull();
  expect(await api.imageFromFamily('deeplearning-platform-release', 'x')).toBeNull();
  expect(await api.capacityAdvice('us-central1', { size: 1 })).toBeNull();
  expect(await api.guestAttributes(zone, 'x', 'hostkeys/')).toEqual(new Map());
  expect(google.received).toHaveLength(8);
});

test('advice and images that may not be read are null; other things that may not be read are errors', async () => {
  google.answer = (_request, response) => json(response, { error: { code: 403, message: 'no', errors: [{ reason: 'forbidden' }] } }, 403);
  expect(await api.imageFromFamily('other-project', 'x')).toBeNull();
  expect(await api.capacityAdvice('us-central1', { size: 1 })).toBeNull();
  await expect(api.getInstance(zone, 'x')).rejects.toMatchObject({ status: 403, reasons: ['forbidden'] });
  google.answer = (_request, response) => response.writeHead(501).end();
  expect(await api.capacityAdvice('us-central1', { size: 1 })).toBeNull();
});

test('the smaller calls have their own paths', async () => {
  const seen = async (work: Promise<unknown>): Promise<string> => {
    await work;
    const { method, url } = google.received.at(-1)!;
    return `${method} ${url.replace(/\?$/, '').replace(base, '')}`;
  };
  expect(await seen(api.setMetadata(zone, 'a', [{ key: 'k', value: 'v' }], 'print'))).toBe(`POST /zones/${zone}/instances/a/setMetadata`);
  expect(JSON.parse(google.received.at(-1)!.body)).toEqual({ fingerprint: 'print', items: [{ key: 'k', value: 'v' }] });
  expect(await seen(api.deleteInstance(zone, 'a', 'id-1'))).toBe(`DELETE /zones/${zone}/instances/a?requestId=id-1`);
  expect(await seen(api.serialOutput(zone, 'a'))).toBe(`GET /zones/${zone}/instances/a/serialPort?port=1`);
  expect(await seen(api.effectiveFirewalls(zone, 'a'))).toBe(`GET /zones/${zone}/instances/a/getEffectiveFirewalls?networkInterface=nic0`);
  expect(await seen(api.deleteDisk(zone, 'd', 'id-2'))).toBe(`DELETE /zones/${zone}/disks/d?requestId=id-2`);
  expect(await seen(api.getProject())).toBe('GET ');
  expect(await seen(api.listRegions())).toBe('GET /regions?maxResults=500');
  expect(await seen(api.deleteFirewall('f', 'id-3'))).toBe('DELETE /global/firewalls/f?requestId=id-3');
  expect(await seen(api.patchFirewall('f', { sourceRanges: ['1.2.3.4/32'] }, 'id-4'))).toBe('PATCH /global/firewalls/f?requestId=id-4');
  expect(await seen(api.capacityAdvice('us-central1', { size: 1 }))).toBe('POST /regions/us-central1/advice/capacity');
  expect(JSON.parse(google.received.at(-1)!.body)).toEqual({ size: 1 });
  expect(await seen(api.listOperations(zone, 'operationType="compute.instances.preempted"'))).toContain(
    `GET /zones/${zone}/operations?filter=operationType%3D`,
  );
});

test('guest attributes are by key', async () => {
  google.answer = (_request, response) =>
    json(response, { queryValue: { items: [{ namespace: 'hostkeys', key: 'ssh-ed25519', value: 'AAAA' }, { key: 5 }, null] } });
  expect(await api.guestAttributes(zone, 'a', 'hostkeys/')).toEqual(new Map([['ssh-ed25519', 'AAAA']]));
  expect(google.received[0]!.url).toBe(`${base}/zones/${zone}/instances/a/getGuestAttributes?queryPath=hostkeys/`);
});

test('waiting goes on until the operation is done, zonal and global', async () => {
  api = await openApi(google, { clock: { now: () => Date.now(), sleep: async (ms, signal) => await systemClock.sleep(ms === 1_000 ? 1 : ms, signal) } });
  google.answer = (_request, response, count) => json(response, count < 3 ? operation : { ...operation, status: 'DONE', error: {} });
  expect(await api.waitOperation(operation as never)).toMatchObject({ status: 'DONE', error: { errors: [] } });
  expect(google.received.map(({ url }) => url.replace(/\?$/, ''))).toEqual(Array(3).fill(`${base}/zones/${zone}/operations/operation-1/wait`));
  const { zone: _zone, ...global } = operation;
  await api.waitOperation(global as never);
  expect(google.received[3]!.url).toContain(`${base}/global/operations/operation-1/wait`);
});

test('all pages of a list, and the zones that did not answer', async () => {
  google.answer = (_request, response, count) =>
    json(
      response,
      count === 1
        ? {
            items: { [`zones/${zone}`]: { instances: [instance] }, 'zones/b': { warning: { code: 'NO_RESULTS_ON_PAGE' } } },
            unreachables: ['projects/p/zones/c'],
            nextPageToken: 'two',
          }
        : { items: { 'zones/d': { warning: { code: 'UNREACHABLE' } }, 'zones/e': { instances: [{ ...instance, name: 'gr-b' }] } } },
    );
  const { items, unreachable } = await api.listInstances('labels.gpu-run=1');
  expect(items.map(({ name }) => name)).toEqual(['gr-a', 'gr-b']);
  expect(unreachable).toEqual(['c', 'd']);
  expect(google.received.map(({ url }) => url)).toEqual([
    `${base}/aggregated/instances?filter=labels.gpu-run%3D1&maxResults=500`,
    `${base}/aggregated/instances?filter=labels.gpu-run%3D1&maxResults=500&pageToken=two`,
  ]);
});

test('zones of types are names, quotas and zones of a region always lists', async () => {
  google.answer = (_request, response) =>
    json(response, { items: { 'zones/a': { machineTypes: [{ name: 'g2-standard-8', zone: 'https://x/zones/a', guestCpus: 8, memoryMb: 32768 }] } } });
  expect((await api.listMachineTypes('')).items).toEqual([{ name: 'g2-standard-8', zone: 'a', guestCpus: 8, memoryMb: 32768 }]);
  google.answer = (_request, response) => json(response, { items: { 'zones/a': { acceleratorTypes: [{ name: 'nvidia-l4', zone: 'https://x/zones/a' }] } } });
  expect((await api.listAcceleratorTypes('')).items).toEqual([{ name: 'nvidia-l4', zone: 'a' }]);
  google.answer = (_request, response) =>
    json(response, { items: [{ name: 'r' }, { name: 's', quotas: [{ metric: 'M', limit: 1, usage: 0 }], zones: ['z', 1] }] });
  expect(await api.listRegions()).toEqual([
    { name: 'r', quotas: [], zones: [] },
    { name: 's', quotas: [{ metric: 'M', limit: 1, usage: 0 }], zones: ['z'] },
  ]);
});

test('many calls at once keep apart', async () => {
  google.answer = ({ url }, response) => json(response, { ...instance, name: url.replace(/\?$/, '').split('/').at(-1) });
  const names = Array.from({ length: 40 }, (_, index) => `gr-${index}`);
  const found = await Promise.all(names.map((name) => api.getInstance(zone, name)));
  expect(found.map((one) => one?.name)).toEqual(names);
  expect(google.tokenRequests).toHaveLength(1);
});
