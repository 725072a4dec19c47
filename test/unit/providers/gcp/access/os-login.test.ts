import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { importOsLoginKey, osLoginState } from '../../../../../src/providers/gcp/access/os-login.ts';
import { createFetch } from '../../../../../src/providers/gcp/api/proxied-fetch.ts';
import { createAgents } from '../../../../../src/providers/gcp/api/proxy.ts';
import type { Instance, Project } from '../../../../../src/providers/gcp/gce-resources.ts';

const signal = new AbortController().signal;
let server: Server;
let asked: { readonly url: string | undefined; readonly token: string | undefined; readonly body: unknown }[];
let answer: { status: number; body: string };

beforeEach(async () => {
  asked = [];
  answer = { status: 200, body: '{}' };
  server = createServer(async (request, response) => {
    const body = JSON.parse(Buffer.concat(await request.toArray()).toString());
    asked.push({ url: request.url, token: request.headers.authorization, body });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => server.close());

function login(more: object = {}): Promise<string> {
  const { port } = server.address() as { port: number };
  const given = {
    fetch: createFetch(createAgents({})),
    endpoint: `http://127.0.0.1:${port}`,
    token: async () => 'tok',
    account: 'ann@example.com',
    project: 'p1',
    publicKey: 'ssh-ed25519 AAAA',
  };
  return importOsLoginKey({ ...given, expiresAt: 1_800_000_000_000, ...more }, signal);
}

test('the key goes into the profile until the deadline, and the primary account is taken', async () => {
  answer.body = JSON.stringify({ loginProfile: { posixAccounts: [{ username: 'other' }, { primary: true, username: 'ann_example_com' }] } });
  expect(await login()).toBe('ann_example_com');
  expect(asked).toEqual([
    {
      url: '/v1/users/ann%40example.com:importSshPublicKey?projectId=p1',
      token: 'Bearer tok',
      body: { key: 'ssh-ed25519 AAAA', expirationTimeUsec: '1800000000000000' },
    },
  ]);
});

test('no permission: the role that is missing, for the kind of account', async () => {
  answer.status = 403;
  await expect(login()).rejects.toMatchObject({
    code: 'not-allowed',
    hints: [expect.stringContaining('--member=user:ann@example.com --role=roles/compute.osAdminLogin'), expect.any(String), expect.any(String)],
  });
  await expect(login({ account: 'ci@p1.iam.gserviceaccount.com' })).rejects.toMatchObject({
    hints: expect.arrayContaining([expect.stringContaining('serviceAccount:ci@')]),
  });
});

test.each(['{}', 'no json', '{"loginProfile":{"posixAccounts":[]}}', '{"loginProfile":{"posixAccounts":[{"username":"-oProxyCommand=x"}]}}'])(
  'an answer without an account: %s',
  async (body) => {
    answer.body = body;
    await expect(login()).rejects.toMatchObject({ code: 'protocol' });
  },
);

test('a fault of the server, no server, and no encryption', async () => {
  answer.status = 503;
  await expect(login()).rejects.toMatchObject({ code: 'connection', retry: 'same' });
  await expect(login({ endpoint: 'http://127.0.0.1:9' })).rejects.toMatchObject({ code: 'connection', retry: 'same' });
  await expect(login({ endpoint: 'http://oslogin.example.com' })).rejects.toMatchObject({ code: 'bad-input' });
});

test('whether it is on', () => {
  const instance = (value?: boolean) =>
    ({ resourceStatus: { effectiveInstanceMetadata: value === undefined ? {} : { enableOsloginMetadataValue: value } } }) as Instance;
  const project = { commonInstanceMetadata: { items: [{ key: 'enable-oslogin', value: 'TRUE' }] } } as unknown as Project;
  expect(osLoginState(instance(true), null)).toBe('forced');
  expect(osLoginState(instance(false), project)).toBe('project');
  expect(osLoginState(instance(), project)).toBe('project');
  expect(osLoginState(instance(), null)).toBe('off');
});
