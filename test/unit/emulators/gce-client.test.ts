/** The emulator through Google's own client library: every call that the provider makes is understood, and answered in words that the client keeps. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { createGceApi } from '../../../src/providers/gcp/api/create-gce-api.ts';
import type { GceApi } from '../../../src/providers/gcp/gce-api.ts';
import type { InstanceBody } from '../../../src/providers/gcp/gce-resources.ts';
import type { GceEmulator } from '../../emulators/gce/gce-emulator.ts';
import { instanceBody, openGceEmulator } from '../../support/gce-emulator.ts';

const zone = 'us-central1-a';

async function clientOf(emulator: GceEmulator): Promise<GceApi> {
  return await createGceApi({ project: null, credentialsFile: null, env: emulator.env, platform: process.platform, clock: systemClock });
}

test('the life of an instance', async () => {
  const emulator = await openGceEmulator();
  const api = await clientOf(emulator);
  const body = instanceBody({ name: 'one', zone, labels: { 'gpu-run-owner': 'ann' } }) as InstanceBody;
  const done = await api.waitOperation(await api.insertInstance(zone, body, randomUUID()));
  expect(done).toMatchObject({ status: 'DONE', operationType: 'insert' });
  const instance = await api.getInstance(zone, 'one');
  expect(instance).toMatchObject({ id: emulator.instances()[0]?.id, name: 'one', status: 'RUNNING', labels: { 'gpu-run-owner': 'ann' } });
  expect(instance?.resourceStatus?.scheduling?.terminationTimestamp).toBeDefined();
  expect((await api.listInstances('labels.gpu-run-owner=ann')).items.map(({ name }) => name)).toEqual(['one']);
  expect((await api.listInstances('labels.gpu-run-owner=bob')).items).toEqual([]);
  expect((await api.listDisks('')).items).toMatchObject([{ name: 'one' }]);
  expect(await api.serialOutput(zone, 'one')).toContain('Linux version');
  expect((await api.effectiveFirewalls(zone, 'one')).firewalls?.map(({ name }) => name)).toContain('default-allow-ssh');
  const gone = await api.deleteInstance(zone, 'one', randomUUID());
  expect(gone === null ? null : (await api.waitOperation(gone)).status).toBe('DONE');
  expect(await api.getInstance(zone, 'one')).toBeNull();
  expect((await api.listOperations(zone, 'operationType="insert"')).map(({ name }) => name)).toEqual([done.name]);
  expect([emulator.instances(), emulator.disks()]).toEqual([[], []]);
});

test('places, types, images, quotas, rules and advice', async () => {
  const emulator = await openGceEmulator({ pageSize: 100 });
  const api = await clientOf(emulator);
  expect((await api.getProject()).quotas).toContainEqual(expect.objectContaining({ metric: 'GPUS_ALL_REGIONS', limit: 256 }));
  expect((await api.listRegions()).map(({ name }) => name)).toContain('us-central1');
  const types = await api.listMachineTypes('name=g2-standard-24');
  expect(types.items[0]).toMatchObject({
    name: 'g2-standard-24',
    guestCpus: 24,
    accelerators: [{ guestAcceleratorType: 'nvidia-l4', guestAcceleratorCount: 2 }],
  });
  expect((await api.listAcceleratorTypes('name=nvidia-tesla-t4')).items.length).toBeGreaterThan(10);
  expect(await api.imageFromFamily('debian-cloud', 'debian-12')).toMatchObject({ diskSizeGb: '10' });
  expect(await api.imageFromFamily('debian-cloud', 'debian-9')).toBeNull();
  const rule = { name: 'gpu-run-ssh', network: 'global/networks/default', sourceRanges: ['192.0.2.1/32'], allowed: [{ IPProtocol: 'tcp', ports: ['22'] }] };
  await api.waitOperation(await api.insertFirewall(rule, randomUUID()));
  expect(await api.getFirewall('gpu-run-ssh')).toMatchObject({ sourceRanges: ['192.0.2.1/32'], allowed: [{ IPProtocol: 'tcp', ports: ['22'] }] });
  const selection = { instanceSelections: { s: { machineTypes: ['g2-standard-8'] } } };
  const wish = { distributionPolicy: { targetShape: 'ANY_SINGLE_ZONE' }, instanceFlexibilityPolicy: selection, size: 1 };
  expect(await api.capacityAdvice('us-central1', wish)).toMatchObject({ recommendations: [{ scores: { obtainability: expect.any(Number) } }] });
});

test('a zone that does not answer is named by the client too, in each form', async () => {
  const emulator = await openGceEmulator();
  const api = await clientOf(emulator);
  for (const form of ['unreachables', 'warning', 'both'] as const) {
    const fault = emulator.faults.unreachableZone(zone, form);
    expect((await api.listInstances('')).unreachable.join(' ')).toContain(zone);
    fault.remove();
  }
  expect((await api.listInstances('')).unreachable).toEqual([]);
});
