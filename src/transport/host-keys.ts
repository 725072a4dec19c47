/** SSH keys as bytes and text, without loading an SSH library: many commands make or compare a key and never connect. May import core. */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { GpuRunError } from '../core/errors.ts';
import type { HostKey } from '../core/machine.ts';

export interface KeyPair {
  /** OpenSSH's private key format, without a passphrase: for a file of mode 0600. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA...`, without comment. */
  readonly publicKey: HostKey;
}

export interface ParsedKey {
  readonly type: string;
  /** What is signed over and compared: the key on the wire. */
  readonly blob: Buffer;
}

/** @throws GpuRunError `bad-input` when the line isn't `TYPE BASE64`, or the two disagree. */
export function parsePublicKey(line: string): ParsedKey {
  const [type = '', base64 = ''] = line.trim().split(/\s+/);
  const blob = Buffer.from(base64, 'base64');
  const typeLength = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  if (type === '' || blob.subarray(4, 4 + typeLength).toString('latin1') !== type) {
    throw new GpuRunError('bad-input', `'${line.slice(0, 80)}' is no public SSH key.`, {
      hints: ["Give it in one line as in a .pub file: 'ssh-ed25519 AAAA...'. `ssh-keyscan HOST` prints a host's keys."],
    });
  }
  return { type, blob };
}

/** `SHA256:...`, as `ssh-keygen -l` prints it. */
export function fingerprint(key: HostKey): string {
  return fingerprintOfBlob(parsePublicKey(key).blob);
}

export function fingerprintOfBlob(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** A new ed25519 key pair; takes well below a millisecond. */
export function generateKeyPair(): KeyPair {
  const { x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const publicBytes = Buffer.from(x ?? '', 'base64url');
  const secretBytes = Buffer.from(d ?? '', 'base64url');
  const blob = Buffer.concat([lengthPrefixed('ssh-ed25519'), lengthPrefixed(publicBytes)]);
  return { privateKey: openSshPrivateKey(blob, publicBytes, secretBytes), publicKey: `ssh-ed25519 ${blob.toString('base64')}` };
}

/** The format of OpenSSH's PROTOCOL.key, with cipher and KDF `none`. */
function openSshPrivateKey(blob: Buffer, publicBytes: Buffer, secretBytes: Buffer): string {
  const check = randomBytes(4);
  const secrets = Buffer.concat([
    check,
    check,
    lengthPrefixed('ssh-ed25519'),
    lengthPrefixed(publicBytes),
    lengthPrefixed(Buffer.concat([secretBytes, publicBytes])),
    lengthPrefixed(''),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (secrets.length % 8)) % 8 }, (_, index) => index + 1));
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0', 'latin1'),
    lengthPrefixed('none'),
    lengthPrefixed('none'),
    lengthPrefixed(''),
    Buffer.from([0, 0, 0, 1]),
    lengthPrefixed(blob),
    lengthPrefixed(Buffer.concat([secrets, padding])),
  ]);
  const lines = body.toString('base64').match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function lengthPrefixed(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
