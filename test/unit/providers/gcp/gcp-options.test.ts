import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readGcpOptions } from '../../../../src/providers/gcp/gcp-options.ts';

describe('the gcp block', () => {
  test('may be left out', () => {
    const defaults = { project: null, credentialsFile: null, images: [], publicIp: true, user: 'gpurun', serviceAccount: null, provisioning: null };
    expect(readGcpOptions({})).toMatchObject(defaults);
    expect(readGcpOptions({ gcp: {} })).toEqual(readGcpOptions({}));
  });

  test('is read', () => {
    const block = {
      project: 'example.com:my-project',
      'credentials-file': '~/key.json',
      image: ['p/f', 'projects/p/global/images/i-1'],
      'public-ip': false,
      'allow-from': '203.0.113.7/32',
    };
    expect(readGcpOptions({ gcp: block })).toMatchObject({
      project: 'example.com:my-project',
      credentialsFile: join(homedir(), 'key.json'),
      images: ['p/f', 'projects/p/global/images/i-1'],
      publicIp: false,
      allowFrom: ['203.0.113.7/32'],
    });
  });

  test.each([
    [true, 'gcp'],
    [['x'], 'gcp'],
    [{ projekt: 'x' }, 'gcp.projekt'],
    [{ project: 'My Project' }, 'gcp.project'],
    [{ project: '../../x' }, 'gcp.project'],
    [{ 'credentials-file': 'relative.json' }, 'gcp.credentials-file'],
    [{ image: 'just-a-name' }, 'gcp.image'],
    [{ image: ['p/f', null] }, 'gcp.image'],
    [{ network: 'a b' }, 'gcp.network'],
    [{ provisioning: 'cheap' }, 'gcp.provisioning'],
    [{ provisioning: 'reservation' }, 'gcp.reservation'],
    [{ 'service-account': 'me' }, 'gcp.service-account'],
    [{ 'public-ip': 'no' }, 'gcp.public-ip'],
    [{ user: 'Root!' }, 'gcp.user'],
    [{ 'allow-from': 'everywhere' }, 'gcp.allow-from'],
    [{ 'allow-from': ['203.0.113.7/32', '0.0.0.0/0'] }, 'gcp.allow-from'],
    [{ 'allow-from': '::/00' }, 'gcp.allow-from'],
  ])('%j is refused by name', (gcp, key) => {
    expect(() => readGcpOptions({ gcp })).toThrow(expect.objectContaining({ code: 'bad-input', message: expect.stringContaining(`'${key}'`) }));
  });
});
