/** The real client library against the Compute Engine emulator: both read the same protos, each in its own way. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '../../../../../src/core/clock.ts';
import { createGceApi } from '../../../../../src/providers/gcp/api/create-gce-api.ts';
import { instanceBody, openGceEmulator } from '../../../../support/gce-emulator.ts';

test('an instance is ordered, found, listed and deleted; the same request id is the same order', async () => {
  const emulator = await openGceEmulator();
  const env = { GPU_RUN_GCP_ENDPOINT: emulator.endpoint, GOOGLE_APPLICATION_CREDENTIALS: emulator.credentialsFile };
  const api = await createGceApi({ project: emulator.project, credentialsFile: null, env, platform: 'linux', clock: systemClock });
  const zone = 'us-central1-a';
  const id = randomUUID();
  const body = instanceBody({ name: 'gr-a', zone });
  const ordered = await api.insertInstance(zone, body as never, id);
  expect((await api.insertInstance(zone, body as never, id)).name).toBe(ordered.name);
  expect(await api.waitOperation(ordered)).toMatchObject({ status: 'DONE' });
  expect((await api.getInstance(zone, 'gr-a'))?.id).toBe(ordered.targetId);
  expect((await api.listInstances('name=gr-a')).items.map(({ name }) => name)).toEqual(['gr-a']);
  expect((await api.listMachineTypes('name=g2-standard-4')).items.find((type) => type.zone === zone)).toMatchObject({ guestCpus: 4 });
  expect((await api.getProject()).name).toBe(emulator.project);
  const deleted = await api.deleteInstance(zone, 'gr-a', randomUUID());
  expect(await api.waitOperation(deleted!)).toMatchObject({ status: 'DONE' });
  expect(await api.getInstance(zone, 'gr-a')).toBeNull();
});
