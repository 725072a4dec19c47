/** Orders of which nobody can be sure: what may have been made is never given up as not made. */
import { expect, test } from 'vitest';
import { toGpuRunError } from '../../../../src/core/errors.ts';
import { openGcpRig } from './gcp-rig.ts';

const inserts = /^instances\.insert$/;

test('an order that took effect unheard, and is refused when it is repeated, leaves nothing behind', async () => {
  const { emulator, provider, plan } = await openGcpRig();
  emulator.faults.reset({ calls: inserts, when: 'after', times: 1 });
  emulator.faults.permissionDenied({ calls: inserts, permission: 'compute.instances.create' });
  const failure = toGpuRunError(await provider.launch(await plan()).catch((error: unknown) => error));
  expect(failure.code).toBe('not-allowed');
  expect(failure.hints.join('\n')).toContain(`These credentials were used: ${emulator.credentialsFile} (service account `);
  expect(failure.leftBehind).toBe('nothing');
  expect(emulator.instances().map(({ name }) => name)).toEqual([]);
});

test('a machine that was made and can not be looked at is no bug of ours, and may be there', async () => {
  const { emulator, provider, plan } = await openGcpRig();
  emulator.faults.permissionDenied({ calls: /^instances\.get$/, permission: 'compute.instances.get' });
  const failure = toGpuRunError(await provider.launch(await plan()).catch((error: unknown) => error));
  expect(failure.code).toBe('not-allowed');
  expect(failure.message).toContain('compute.instances.get');
  expect(failure.leftBehind).toBe('unknown');
});

test('whoever interrupts an order that is under way leaves nothing behind, however late it takes effect', async () => {
  const { emulator, provider, plan } = await openGcpRig();
  const order = await plan();
  emulator.faults.slow({ calls: inserts, ms: 300 });
  const abort = new AbortController();
  const launching = provider.launch(order, abort.signal).catch((error: unknown) => error);
  await expect.poll(() => emulator.calls.some(({ id }) => id === 'images.getFromFamily')).toBe(true);
  setTimeout(() => abort.abort(), 50);
  expect(toGpuRunError(await launching).code).toBe('interrupted');
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(emulator.instances().map(({ name }) => name)).toEqual([]);
});

test('a machine that is still there after its deletion is deleted again, with pauses, until time is up', async () => {
  const { emulator, provider, plan } = await openGcpRig();
  emulator.faults.operationError({ errors: [{ code: 'INTERNAL_ERROR', message: 'Internal error.' }], httpStatus: 500, keepsTarget: true });
  // Says that it is done, and does nothing.
  emulator.faults.operationError({ types: /^delete$/, errors: [], times: 3 });
  const failure = toGpuRunError(await provider.launch(await plan()).catch((error: unknown) => error));
  expect(failure.leftBehind).toBe('nothing');
  expect(emulator.calls.filter(({ id }) => id === 'instances.delete')).toHaveLength(4);
  expect(emulator.instances().map(({ name }) => name)).toEqual([]);
});
