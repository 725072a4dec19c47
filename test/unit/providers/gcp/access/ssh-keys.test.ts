import { expect, test } from 'vitest';
import { sshKeysMetadata } from '../../../../../src/providers/gcp/access/ssh-keys.ts';
import { generateKeyPair } from '../../../../../src/transport/host-keys.ts';

const key = generateKeyPair().publicKey;

test("one user and one key, good for ten minutes longer than the machine; the project's keys and OS Login stay out", () => {
  expect(sshKeysMetadata('gpurun', key, Date.UTC(2026, 10, 21, 12, 0, 0, 500))).toEqual([
    { key: 'ssh-keys', value: `gpurun:${key} google-ssh {"userName":"gpurun","expireOn":"2026-11-21T12:10:00+0000"}` },
    { key: 'block-project-ssh-keys', value: 'TRUE' },
    { key: 'enable-oslogin', value: 'FALSE' },
  ]);
});

test.each([
  ['a second line', 'gpurun', `${key}\nroot:${key}`],
  ['a comment', 'gpurun', `${key} me`],
  ['another user', 'root:x\nann', key],
  ['an option', '-gpurun', key],
])('refused: %s', (_, user, publicKey) => {
  expect(() => sshKeysMetadata(user, publicKey, 0)).toThrow(expect.objectContaining({ code: 'internal' }));
});
