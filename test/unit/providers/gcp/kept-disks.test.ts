/** A machine whose boot disk does not go with it, because somebody has switched that off: the disk goes all the same, or is named. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { labelKeys, type MachineRef } from '../../../../src/core/machine.ts';
import type { GceApi } from '../../../../src/providers/gcp/gce-api.ts';
import { readInstanceRef } from '../../../../src/providers/gcp/instance-ref.ts';
import { terminateInstance } from '../../../../src/providers/gcp/terminate-instance.ts';
import { adoptFound } from '../../../../src/workflows/adopt.ts';
import type { RunContext } from '../../../../src/workflows/context.ts';
import { down } from '../../../../src/workflows/down.ts';
import { askGce, instanceBody } from '../../../support/gce-emulator.ts';
import { createFakeContext, type FakeContext } from '../../workflows/fake-context.ts';
import { type GcpRig, hastyClock, openGcpRig } from './gcp-rig.ts';

const zone = 'us-central1-a';
const name = 'cats-abcdef';
const command = `gcloud compute disks delete ${name} --zone=${zone} --project=emulated --quiet`;

let rig: GcpRig;
let fake: FakeContext;
let context: RunContext;
beforeEach(async () => {
  rig = await openGcpRig({ operationMs: 0, allowSshRule: false });
  fake = createFakeContext(() => ({ gcp: rig.provider }));
  context = { ...fake.context, clock: hastyClock };
  const ask = await askGce(rig.emulator);
  const expires = String(Math.floor(Date.now() / 1000) + 3600);
  const labels = { [labelKeys.owner]: context.owner, [labelKeys.machine]: name, [labelKeys.name]: 'cats', [labelKeys.expires]: expires };
  const body = instanceBody({ name, zone, type: 'e2-standard-4', spot: false, labels });
  body['disks'][0].autoDelete = false;
  body['disks'][0].initializeParams.labels = labels;
  body['scheduling'].onHostMaintenance = 'MIGRATE';
  const { json } = await ask('POST', `/zones/${zone}/instances`, body);
  await ask('POST', `/zones/${zone}/operations/${json.name}/wait`);
  await adoptFound({}, context);
});
afterEach(() => fake[Symbol.dispose]());

const downCats = () => down({ names: ['cats'], all: false }, context);

test('down deletes it after the machine', async () => {
  expect(await downCats()).toMatchObject({ machines: [{ state: 'gone' }], leftovers: [] });
  expect(rig.emulator.disks()).toEqual([]);
});

test('the machine is gone already: down deletes its disk', async () => {
  await rig.emulator.vanish(name);
  expect(rig.emulator.disks()).toEqual([`${zone}/${name}`]);
  expect(await downCats()).toMatchObject({ machines: [{ state: 'gone' }], leftovers: [] });
  expect(rig.emulator.disks()).toEqual([]);
});

test('it may not be deleted, or not even looked for: it is named, with the exact command', async () => {
  rig.emulator.faults.permissionDenied({ calls: /^disks\.aggregatedList$/, permission: 'compute.disks.list' });
  expect((await downCats()).leftovers.join()).toContain(command);
  expect(rig.emulator.instances()).toEqual([]);
});

test('its deletion comes to nothing: it is named, with the exact command', async () => {
  const errors = [{ code: 'RESOURCE_IN_USE_BY_ANOTHER_RESOURCE', message: 'in use' }];
  await rig.emulator.vanish(name);
  rig.emulator.faults.operationError({ errors, types: /^delete$/ });
  const { leftovers } = await downCats();
  expect({ left: rig.emulator.disks(), said: leftovers.join() }).toEqual({ left: [`${zone}/${name}`], said: expect.stringContaining(`in use): ${command}`) });
});

test('the order to delete a disk that was left behind: done is not gone, and an error is a refusal', async () => {
  const data = { project: 'p', zone, disk: name };
  const disk = readInstanceRef({ provider: 'gcp', id: name, name: 'cats', labels: {}, createdAt: null, leftover: 'its disk', data } satisfies MachineRef);
  const ended = (answer: object | null) => terminateInstance({ deleteDisk: async () => answer } as unknown as GceApi, disk);
  const done = { id: '1', name: 'op', operationType: 'delete', status: 'DONE' };
  expect(await ended(null)).toMatchObject({ state: 'gone' });
  expect(await ended(done)).toMatchObject({ state: 'ending' });
  const error = { errors: [{ code: 'RESOURCE_IN_USE_BY_ANOTHER_RESOURCE', message: 'in use' }] };
  await expect(ended({ ...done, error })).rejects.toMatchObject({ code: 'still-billing', message: expect.stringContaining('in use') });
});
