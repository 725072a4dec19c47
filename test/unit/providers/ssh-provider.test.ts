import { homedir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { ResourceNeed } from '../../../src/core/offer.ts';
import { createSshProvider } from '../../../src/providers/ssh/ssh-provider.ts';
import { createFakeClock } from '../../../src/testing/index.ts';
import { anyNeed, collect, planFor } from '../../contract/provider.ts';

const clock = createFakeClock();
const provider = createSshProvider({ clock });
const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB3EguqJH06dBn6N6KdthQCfPUSA4rf++7g9HLr1bkrT';

const needWith = (ssh: unknown, changes: Partial<ResourceNeed> = {}): ResourceNeed => ({ ...anyNeed, providerOptions: { ssh }, ...changes });
const offersFor = (ssh: unknown, changes?: Partial<ResourceNeed>) => collect(provider.offers(needWith(ssh, changes)));

async function accessFor(ssh: unknown) {
  const need = needWith(ssh);
  const [offer] = await collect(provider.offers(need));
  if (offer === undefined) throw new Error('no offer');
  return (await provider.describe(await provider.launch(planFor(offer, need, clock.now())))).access;
}

async function refusal(ssh: unknown): Promise<GpuRunError> {
  const error = await offersFor(ssh).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GpuRunError);
  expect(error).toMatchObject({ code: 'bad-input' });
  return error as GpuRunError;
}

describe('offers of ssh', () => {
  test('one host, one offer, at the price of the config', async () => {
    expect(await offersFor({ host: 'gpu-box' })).toMatchObject([
      { provider: 'ssh', type: 'ssh:gpu-box', gpu: null, price: { perHour: 0, currency: 'USD' }, available: null },
    ]);
    expect(await offersFor({ host: 'gpu-box', 'price-per-hour': 0.35 })).toMatchObject([{ price: { perHour: 0.35 } }]);
  });

  test('the GPU is offered as asked for: the preflight looks', async () => {
    expect(await offersFor({ host: 'gpu-box' }, { gpu: { name: 'L4', count: 2 } })).toMatchObject([{ gpu: { name: 'L4', count: 2 } }]);
  });

  test('no host, no offer; nor one for what a single own host never is', async () => {
    expect(await collect(provider.offers(anyNeed))).toEqual([]);
    expect(await offersFor({ host: 'gpu-box' }, { spot: true })).toEqual([]);
    expect(await offersFor({ host: 'gpu-box' }, { regions: ['us-central1'] })).toEqual([]);
    expect(await offersFor({ host: 'gpu-box' }, { nodes: 2 })).toEqual([]);
  });
});

describe('access of ssh', () => {
  test('what is left out is left to ssh_config', async () => {
    expect(await accessFor({ host: 'gpu-box' })).toEqual({
      kind: 'openssh',
      host: 'gpu-box',
      port: null,
      user: null,
      hostKey: null,
      configFile: null,
      identityFile: null,
    });
  });

  test('every key arrives', async () => {
    const identityFile = import.meta.filename; // any file that is there
    const ssh = {
      host: '2001:db8::7',
      user: 'ann.b',
      port: 2222,
      'host-key': `${hostKey} root@gpu-box`,
      'config-file': '/dev/../etc/passwd',
      'identity-file': identityFile,
    };
    expect(await accessFor(ssh)).toEqual({
      kind: 'openssh',
      host: '2001:db8::7',
      port: 2222,
      user: 'ann.b',
      hostKey,
      configFile: '/dev/../etc/passwd',
      identityFile,
    });
  });

  test('~/ is the home folder', async () => {
    expect((await refusal({ host: 'gpu-box', 'identity-file': '~/no-such-file-k3v9xq' })).message).toContain(join(homedir(), 'no-such-file-k3v9xq'));
  });

  test('launch without a host is refused', async () => {
    const [offer] = await offersFor({ host: 'gpu-box' });
    if (offer === undefined) throw new Error('no offer');
    await expect(provider.launch(planFor(offer, anyNeed, clock.now()))).rejects.toMatchObject({ code: 'bad-input' });
  });
});

describe('a wrong ssh block', () => {
  test.each<[string, unknown]>([
    ["'ssh'", 'gpu-box'],
    ["'ssh'", ['gpu-box']],
    ["'ssh.host'", {}],
    ["'ssh.host'", { host: 7 }],
    ["'ssh.host'", { host: '' }],
    ["'ssh.host'", { host: '-oProxyCommand=touch /tmp/x' }],
    ["'ssh.host'", { host: 'a b' }],
    ["'ssh.host'", { host: 'a\nb' }],
    ["'ssh.host'", { host: 'ssh://box' }],
    ["'ssh.host'", { host: 'ann@box' }],
    ["'ssh.user'", { host: 'box', user: '-l' }],
    ["'ssh.user'", { host: 'box', user: '' }],
    ["'ssh.user'", { host: 'box', user: '$(id)' }],
    ["'ssh.port'", { host: 'box', port: '22' }],
    ["'ssh.port'", { host: 'box', port: 0 }],
    ["'ssh.port'", { host: 'box', port: 65_536 }],
    ["'ssh.port'", { host: 'box', port: 22.5 }],
    ["'ssh.host-key'", { host: 'box', 'host-key': 'AAAA' }],
    ["'ssh.host-key'", { host: 'box', 'host-key': hostKey.replace('ssh-ed25519', 'ssh-rsa') }],
    ["'ssh.host-key'", { host: 'box', 'host-key': `box ${hostKey}` }],
    ["'ssh.host-key'", { host: 'box', 'host-key': `${hostKey}\n* ${hostKey} extra\n`.replace(' ', '\n') }],
    ["'ssh.config-file'", { host: 'box', 'config-file': 'ssh_config' }],
    ["'ssh.config-file'", { host: 'box', 'config-file': '/no/such/file' }],
    ["'ssh.config-file'", { host: 'box', 'config-file': '/' }],
    ["'ssh.identity-file'", { host: 'box', 'identity-file': 5 }],
    ["'ssh.price-per-hour'", { host: 'box', 'price-per-hour': -1 }],
    ["'ssh.price-per-hour'", { host: 'box', 'price-per-hour': '1' }],
    ["'ssh.price-per-hour'", { host: 'box', 'price-per-hour': Number.NaN }],
    ["'ssh.prot'", { host: 'box', prot: 22 }],
  ])('names %s: %j', async (key, ssh) => {
    expect((await refusal(ssh)).message).toContain(key);
  });

  test('user@host gets the hint how to write it', async () => {
    expect((await refusal({ host: 'ann@box' })).hints).toEqual(['ssh: { host: box, user: ann }']);
  });

  test('whatever stands there, a host that is taken is one plain word, and all else is a bad-input', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()), async (host) => {
        const taken = await offersFor({ host }).catch((error: unknown) => {
          expect(error).toMatchObject({ name: 'GpuRunError', code: 'bad-input' });
          return null;
        });
        if (taken !== null) expect(host).toMatch(/^[^\s-]\S*$/);
      }),
    );
  });
});
