import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fingerprint, generateKeyPair, parsePublicKey } from '../../../src/transport/host-keys.ts';

describe('key pairs', () => {
  test('are read by the ssh2 library, and sign', () => {
    const pair = generateKeyPair();
    const secret = ssh2.utils.parseKey(pair.privateKey);
    const known = ssh2.utils.parseKey(pair.publicKey);
    if (secret instanceof Error || known instanceof Error) throw new Error('not parsed');
    expect(`ssh-ed25519 ${secret.getPublicSSH().toString('base64')}`).toBe(pair.publicKey);
    expect(known.verify('text', secret.sign('text'))).toBe(true);
    expect(known.verify('another', secret.sign('text'))).toBe(false);
  });

  test('are read by OpenSSH', ({ skip }) => {
    if (!has('ssh-keygen')) skip('there is no ssh-keygen here');
    const folder = mkdtempSync(join(tmpdir(), 'gpu-run-key-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const pair = generateKeyPair();
    const file = join(folder, 'key');
    writeFileSync(file, pair.privateKey, { mode: 0o600 });
    expect(execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' }).trim()).toBe(pair.publicKey);
    expect(execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' })).toContain(fingerprint(pair.publicKey));
  });

  test('differ', () => {
    expect(generateKeyPair().publicKey).not.toBe(generateKeyPair().publicKey);
  });
});

describe('parsePublicKey', () => {
  test('takes a line with a comment', () => {
    const { publicKey } = generateKeyPair();
    expect(parsePublicKey(`${publicKey} somebody@somewhere\n`)).toEqual(parsePublicKey(publicKey));
  });

  test.each(['', 'ssh-ed25519', 'ssh-ed25519 not-base64', 'ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA==', '-----BEGIN OPENSSH PRIVATE KEY-----'])(
    'refuses %j',
    (line) => {
      expect(() => parsePublicKey(line)).toThrow(expect.objectContaining({ code: 'bad-input' }));
    },
  );
});

function has(program: string): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
