import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { describeInstance } from '../../../../src/providers/gcp/describe-instance.ts';
import type { GceApi } from '../../../../src/providers/gcp/gce-api.ts';
import type { Instance } from '../../../../src/providers/gcp/gce-resources.ts';
import { accessOf } from '../../../../src/providers/gcp/instance-access.ts';
import type { Look } from '../../../../src/providers/gcp/look.ts';

const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
const part = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
const key = Buffer.concat([part(Buffer.from('ssh-ed25519')), part(Buffer.from(x, 'base64url'))]).toString('base64');

const api = { guestAttributes: async () => new Map([['ssh-ed25519', key]]) } as unknown as GceApi;
const look = { api, ref: { zone: 'z', name: 'cats', publicIp: true }, deadline: 0, now: 0, loginUser: async () => 'gpurun' } as unknown as Look;
const instanceAt = (natIP: unknown) => ({ networkInterfaces: [{ accessConfigs: [{ natIP }] }] }) as unknown as Instance;

test('an address is an address, or there is no way in', async () => {
  expect(await accessOf(look, instanceAt('203.0.113.7'))).toEqual({
    kind: 'own',
    host: '203.0.113.7',
    port: 22,
    user: 'gpurun',
    hostKeys: [`ssh-ed25519 ${key}`],
  });
  for (const natIP of [undefined, '', 7, '203.0.113.7\n  ProxyCommand touch /tmp/x', '-oProxyCommand=x', 'host.example']) {
    expect(await accessOf(look, instanceAt(natIP))).toBeNull();
  }
});

test('a start that waits its turn is told from one that hangs', async () => {
  const waiting = (provisioningModel: string) => {
    const instance = { id: '1', name: 'cats', status: 'PENDING', scheduling: { provisioningModel } };
    const ref = { zone: 'z', name: 'cats', instanceId: '1', disk: null, rule: null };
    return describeInstance({ ...look, api: { getInstance: async () => instance }, ref } as unknown as Look);
  };
  expect(await waiting('FLEX_START')).toMatchObject({ state: 'pending', queued: true });
  expect(await waiting('STANDARD')).not.toHaveProperty('queued');
});
