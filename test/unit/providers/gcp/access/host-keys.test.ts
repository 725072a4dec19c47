import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { publishedHostKeys, publishedSshPort } from '../../../../../src/providers/gcp/access/host-keys.ts';
import type { GceApi } from '../../../../../src/providers/gcp/gce-api.ts';
import { generateKeyPair } from '../../../../../src/transport/host-keys.ts';

const ecdsa = 'AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGjBSVDT7Lh4QPdIHWAcrzOBjLLhAjIHM7cDhlMkV7lPGqVe0MZlYRYR5uYAODNNZzC5nsvq7NTLZVGy7Fzz+cQ=';

function publishing(attributes: Readonly<Record<string, string>>): GceApi {
  const guestAttributes: GceApi['guestAttributes'] = async (zone, name, path) =>
    new Map(zone === 'us-central1-a' && name === 'cats' ? Object.entries(attributes).filter(([key]) => key.startsWith(path)) : []);
  return { guestAttributes } as Partial<GceApi> as GceApi;
}

const keys = (attributes: Readonly<Record<string, string>>) => publishedHostKeys(publishing(attributes), 'us-central1-a', 'cats');
const port = (attributes: Readonly<Record<string, string>>) => publishedSshPort(publishing(attributes), 'us-central1-a', 'cats');

const own = generateKeyPair().publicKey;
const [, base64 = ''] = own.split(' ');

describe('host keys', () => {
  test('nothing was published: not known yet', async () => {
    expect(await keys({})).toBeNull();
    expect(await publishedHostKeys(publishing({ 'hostkeys/ssh-ed25519': base64 }), 'us-central1-a', 'another')).toBeNull();
  });

  test('each of the three types, and no other', async () => {
    expect(await keys({ 'hostkeys/ecdsa-sha2-nistp256': ecdsa, 'hostkeys/ssh-ed25519': base64, 'hostkeys/ssh-dss': base64 })).toEqual([
      own,
      `ecdsa-sha2-nistp256 ${ecdsa}`,
    ]);
  });

  test('a line break brings no second entry', async () => {
    expect(await keys({ 'hostkeys/ssh-ed25519': `${base64}\n* ssh-ed25519 ${base64}` })).toEqual([own]);
    expect(await keys({ 'hostkeys/ssh-ed25519': `${base64} root@cats` })).toEqual([own]);
  });

  test.each([
    ['another type inside', { 'hostkeys/ssh-rsa': base64 }],
    ['not base64', { 'hostkeys/ssh-ed25519': `${base64.slice(0, -1)}!` }],
    ['base64 of another spelling', { 'hostkeys/ssh-ed25519': `${base64}=` }],
    ['nothing behind the type', { 'hostkeys/ssh-ed25519': Buffer.from('\0\0\0\x0bssh-ed25519').toString('base64') }],
    ['empty', { 'hostkeys/ssh-ed25519': '' }],
    ['a line break first', { 'hostkeys/ssh-ed25519': `\n${base64}` }],
    ['far too long', { 'hostkeys/ssh-ed25519': base64 + 'A'.repeat(8000) }],
  ])('refused: %s', async (_, attributes) => {
    expect(await keys(attributes)).toBeNull();
  });

  test('whatever is published, what comes out is one line of a known type', async () => {
    const value = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64')),
      fc.constant(base64),
    );
    const attribute = fc.tuple(fc.constantFrom('hostkeys/ssh-ed25519', 'hostkeys/ssh-rsa', 'hostkeys/ecdsa-sha2-nistp256'), value);
    await fc.assert(
      fc.asyncProperty(fc.array(attribute), async (entries) => {
        for (const key of (await keys(Object.fromEntries(entries))) ?? []) {
          expect(key).toMatch(/^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/]+=*$/);
        }
      }),
    );
  });
});

test('the port of the SSH server', async () => {
  expect(await port({})).toBe(22);
  expect(await port({ 'gpu-run/ssh-port': '2222\n' })).toBe(2222);
  for (const nonsense of ['0', '65536', '-1', '22x', '1e3', '', '2222222']) expect(await port({ 'gpu-run/ssh-port': nonsense })).toBe(22);
});
