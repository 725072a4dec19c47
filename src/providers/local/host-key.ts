/**
 * A new ed25519 host key. Encoded here: of the keys that ssh2 1.17 generates, one in 256 can't be read by ssh2 itself
 * (it drops the leading zero byte).
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';

export interface NewHostKey {
  /** OpenSSH's format (PROTOCOL.key), without passphrase. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA...`. */
  readonly publicKey: string;
}

const keyType = 'ssh-ed25519';

export function newHostKey(): NewHostKey {
  const { x = '', d = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const publicBytes = Buffer.from(x, 'base64url');
  const secretBytes = Buffer.from(d, 'base64url');
  const publicBlob = fields(keyType, publicBytes);
  const check = randomBytes(4);
  const secrets = pad(Buffer.concat([check, check, publicBlob, fields(Buffer.concat([secretBytes, publicBytes]), '')]));
  const oneKey = Buffer.from([0, 0, 0, 1]);
  const body = Buffer.concat([Buffer.from('openssh-key-v1\0'), fields('none', 'none', ''), oneKey, fields(publicBlob, secrets)]);
  return {
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${body.toString('base64').replace(/.{1,70}/g, '$&\n')}-----END OPENSSH PRIVATE KEY-----\n`,
    publicKey: `${keyType} ${publicBlob.toString('base64')}`,
  };
}

/** Each with its length before it, as everything in SSH. */
function fields(...values: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(
    values.flatMap((value) => {
      const bytes = Buffer.from(value);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

/** With 1, 2, 3, ... to a whole number of the cipher's blocks, 8 bytes for none. */
function pad(bytes: Buffer): Buffer {
  const missing = (8 - (bytes.length % 8)) % 8;
  return Buffer.concat([bytes, Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, missing))]);
}
