/** Which ciphers the system's `ssh` is asked for: a choice of the user's stays one. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sshArguments } from '../../../src/transport/openssh-options.ts';

describe.skipIf(spawnSync('ssh', ['-V']).error !== undefined)('ciphers', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gpu-run-ciphers-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** What `ssh` settles on; `asked`: all that we ask for. */
  async function ciphers(...lines: string[]): Promise<{ readonly asked: boolean; readonly order: readonly string[] }> {
    const configFile = join(folder, 'config');
    writeFileSync(configFile, ['Host gpu', 'HostName 127.0.0.1', ...lines, ''].join('\n'));
    const access = { kind: 'openssh', host: 'gpu', port: null, user: null, identityFile: null, configFile, hostKey: null } as const;
    const { options } = await sshArguments(access, { access, identityFile: null, scratch: folder }, folder, new AbortController().signal);
    const said = spawnSync('ssh', [...options, '-G', 'gpu'], { encoding: 'utf8' }).stdout;
    return { asked: options.includes('-c'), order: /^ciphers (.*)$/m.exec(said)?.[1]?.split(',') ?? [] };
  }

  test.each([
    ['AES-256 before AES-128', 'aes256-gcm@openssh.com,aes128-gcm@openssh.com'],
    ['another cipher before AES-GCM', 'chacha20-poly1305@openssh.com,aes128-gcm@openssh.com'],
    ['none of AES-GCM', 'aes256-ctr'],
  ])("the user's own order stays: %s", async (_what, order) => {
    expect(await ciphers(`Ciphers ${order}`)).toEqual({ asked: false, order: order.split(',') });
  });

  test('ciphers that the user takes out or moves to the end stay there', async () => {
    expect((await ciphers('Ciphers -aes128-gcm@openssh.com')).order).not.toContain('aes128-gcm@openssh.com');
    const first = (await ciphers('Ciphers ^aes256-ctr')).order;
    expect(first[0]).toBe('aes256-ctr');
  });

  test('where nobody has chosen AES-GCM comes first, and all others behind it', async () => {
    const own = /^ciphers (.*)$/m.exec(spawnSync('ssh', ['-F', '/dev/null', '-G', 'gpu'], { encoding: 'utf8' }).stdout)?.[1]?.split(',') ?? [];
    const { order } = await ciphers();
    expect(order.slice(0, 2)).toEqual(['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com']);
    expect(order.toSorted()).toEqual(own.toSorted());
  });
});
