import { generateKeyPairSync } from 'node:crypto';
import ssh2 from 'ssh2';
import { expect, test, vi } from 'vitest';
import { newHostKey } from '../../../src/providers/local/host-key.ts';

vi.mock('node:crypto', { spy: true });

function check(): void {
  const { privateKey, publicKey } = newHostKey();
  const secret = ssh2.utils.parseKey(privateKey);
  const open = ssh2.utils.parseKey(publicKey);
  if (secret instanceof Error || open instanceof Error) throw secret;
  expect(secret.isPrivateKey()).toBe(true);
  expect(secret.getPublicSSH()).toEqual(open.getPublicSSH());
  expect(open.verify('proof', secret.sign('proof') as Buffer)).toBe(true);
}

test('the two halves belong together, for every key', () => {
  for (let round = 0; round < 50; round++) check();
});

test('also for a key that begins with a zero byte', () => {
  let pair = generateKeyPairSync('ed25519');
  while (!pair.privateKey.export({ format: 'jwk' }).x?.startsWith('AA')) pair = generateKeyPairSync('ed25519');
  vi.mocked(generateKeyPairSync).mockReturnValueOnce(pair as never);
  check();
});
