/** Where credentials are looked for, how each kind gets its token, and what is said when it does not. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../../../src/core/clock.ts';
import { createGceApi } from '../../../../../src/providers/gcp/api/create-gce-api.ts';
import type { GceApi } from '../../../../../src/providers/gcp/gce-api.ts';
import { type GoogleServer, json, serviceAccount, startGoogle } from './google-server.ts';

let google: GoogleServer;
beforeEach(async () => {
  google = await startGoogle((_request, response) => json(response, { name: 'p' }));
});
afterEach(async () => await google[Symbol.asyncDispose]());

const user = (more: object = {}) => ({
  type: 'authorized_user',
  client_id: 'id',
  client_secret: 'client-secret',
  refresh_token: 'refresh-secret',
  token_uri: `${google.origin}/token`,
  ...more,
});
const federated = (more: object = {}) => ({
  type: 'external_account',
  audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/ci',
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  token_url: `${google.origin}/token`,
  credential_source: { url: `${google.origin}/subject`, format: { type: 'json', subject_token_field_name: 'value' } },
  ...more,
});

/** Time passes by itself in pauses, so that tries of a token endpoint that does not answer cost nothing. */
const clock = { now: systemClock.now, sleep: async (ms: number, signal?: AbortSignal) => await systemClock.sleep(ms > 20_000 ? ms : 0, signal) };

async function open(env: Readonly<Record<string, string>>, credentialsFile: string | null = null, project: string | null = 'proj-test'): Promise<GceApi> {
  return await createGceApi({ project, credentialsFile, env: { GPU_RUN_GCP_ENDPOINT: google.origin, ...env }, platform: 'linux', clock });
}

test('the config is asked first, then the variable, then gcloud', async () => {
  google.token = ({ body }, response) => json(response, { access_token: new URLSearchParams(body).get('refresh_token'), expires_in: 3600 });
  const folder = join(google.folder, '.config', 'gcloud');
  mkdirSync(folder, { recursive: true });
  const name = 'application_default_credentials.json';
  google.write(join('.config', 'gcloud', name), user({ refresh_token: 'of-home' }));
  mkdirSync(join(google.folder, 'sdk'));
  google.write(join('sdk', name), user({ refresh_token: 'of-sdk' }));
  const variable = google.write('variable.json', user({ refresh_token: 'of-variable' }));
  const config = google.write('config.json', user({ refresh_token: 'of-config' }));
  const home = { HOME: google.folder };
  expect(await (await open(home)).accessToken()).toBe('of-home');
  expect(await (await open({ ...home, CLOUDSDK_CONFIG: join(google.folder, 'sdk') })).accessToken()).toBe('of-sdk');
  expect(await (await open({ ...home, GOOGLE_APPLICATION_CREDENTIALS: variable })).accessToken()).toBe('of-variable');
  expect(await (await open({ ...home, GOOGLE_APPLICATION_CREDENTIALS: variable }, config)).accessToken()).toBe('of-config');
});

test('without any, all places are named, and what to do', async () => {
  await expect(open({ HOME: google.folder })).rejects.toMatchObject({
    code: 'not-allowed',
    message: expect.stringContaining(join(google.folder, '.config', 'gcloud', 'application_default_credentials.json')),
    hints: expect.arrayContaining([expect.stringContaining('gcloud auth application-default login')]),
  });
  await expect(open({})).rejects.toThrow('GOOGLE_APPLICATION_CREDENTIALS is not set, and the home folder is not known');
});

test('a file that is named and not usable is an error that names it; nothing else is tried', async () => {
  const missing = join(google.folder, 'missing.json');
  await expect(open({ GOOGLE_APPLICATION_CREDENTIALS: missing })).rejects.toThrow(
    `in ${missing} (named by GOOGLE_APPLICATION_CREDENTIALS) can't be used: there is no such file`,
  );
  const folder = google.folder;
  await expect(open({}, folder)).rejects.toThrow("(named by gcp.credentials-file) can't be used: the file can't be read (EISDIR)");
  const because = async (content: unknown) => await open({}, google.write('bad.json', content)).then(String, ({ code, message }) => `${code} ${message}`);
  const broken = await because('{"private_key": "very secret"');
  expect(broken).toContain('it is not JSON');
  expect(broken).not.toContain('secret');
  expect(await because([])).toContain('it is not a JSON object');
  expect(await because({})).toContain('its type is missing');
  expect(await because({ type: 'gdch_service_account' })).toContain('its type is "gdch_service_account"');
  expect(await because(user({ refresh_token: 5 }))).toContain('not-allowed');
  expect(await because(user({ refresh_token: '' }))).toContain('refresh_token is missing');
  expect(await because(serviceAccount(`${google.origin}/token`, { private_key: undefined }))).toContain('private_key is missing');
  expect(await because(federated({ audience: undefined }))).toContain('audience is missing');
  expect(await because(federated({ credential_source: {} }))).toContain('credential_source');
  expect(await because(federated({ token_url: 'http://sts.example.com/token' }))).toContain('token_url is not an https address');
  expect(await because(user({ universe_domain: 'example.com' }))).toContain('another cloud');
});

test('a service account signs for a token, at the address of its file', async () => {
  const api = await open({}, google.write('key.json', serviceAccount(`${google.origin}/token`)));
  expect(await api.getProject()).toMatchObject({ name: 'p' });
  expect(google.received[0]!.headers.authorization).toBe('Bearer token-1');
  const [asked] = google.tokenRequests;
  const claims = JSON.parse(Buffer.from(new URLSearchParams(asked!.body).get('assertion')!.split('.')[1]!, 'base64url').toString());
  expect(claims).toMatchObject({ iss: 'runner@proj-of-key.iam.gserviceaccount.com', scope: 'https://www.googleapis.com/auth/cloud-platform' });
});

test('a federated identity exchanges the token of its place', async () => {
  google.token = ({ url }, response) =>
    json(
      response,
      url === '/subject' ? { value: 'subject-of-ci' } : { access_token: 'federated', expires_in: 3600, token_type: 'Bearer', issued_token_type: 'x' },
    );
  const api = await open({ GOOGLE_CLOUD_QUOTA_PROJECT: 'proj-quota' }, google.write('wif.json', federated()));
  await api.getProject();
  expect(google.received[0]!.headers).toMatchObject({ authorization: 'Bearer federated', 'x-goog-user-project': 'proj-quota' });
  expect(google.tokenRequests.map(({ url }) => url)).toEqual(['/subject', '/token']);
  expect(new URLSearchParams(google.tokenRequests[1]!.body).get('subject_token')).toBe('subject-of-ci');
});

test('an impersonated service account gets its token through the one behind it', async () => {
  google.token = ({ url }, response) =>
    json(
      response,
      url === '/token'
        ? { access_token: 'of-user', expires_in: 3600 }
        : { accessToken: 'of-target', expireTime: new Date(Date.now() + 3_600_000).toISOString() },
    );
  const file = {
    type: 'impersonated_service_account',
    service_account_impersonation_url: `${google.origin}/v1/projects/-/serviceAccounts/target@p.iam.gserviceaccount.com:generateAccessToken`,
    source_credentials: user(),
  };
  expect(await (await open({}, google.write('impersonated.json', file))).accessToken()).toBe('of-target');
  expect(google.tokenRequests.map(({ url }) => url)).toEqual(['/token', '/v1/projects/-/serviceAccounts/target@p.iam.gserviceaccount.com:generateAccessToken']);
});

test('a login that has expired is told with the source and the way out, and no secret', async () => {
  google.token = (_request, response) => json(response, { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' }, 400);
  const path = google.write('user.json', user());
  const failure = await (await open({}, path)).getProject().catch((thrown) => thrown);
  expect(failure).toMatchObject({ code: 'not-allowed', hints: ['On a laptop: gcloud auth application-default login'] });
  expect(failure.message).toBe(
    `Google gives no token for the credentials in ${path} (authorized_user, named by gcp.credentials-file): they are expired or revoked (invalid_grant: Token has been expired or revoked.).`,
  );
  expect(JSON.stringify(failure) + failure.message).not.toContain('secret');
  expect(google.tokenRequests).toHaveLength(1);
  expect(google.received).toEqual([]);
});

test('a federated identity that is refused says so', async () => {
  google.token = ({ url }, response) =>
    url === '/subject' ? json(response, { value: 's' }) : json(response, { error: 'invalid_grant', error_description: 'bad audience' }, 400);
  const failure = await (await open({}, google.write('wif.json', federated()))).getProject().catch((thrown) => thrown);
  expect(failure).toMatchObject({
    code: 'not-allowed',
    message: expect.stringContaining('bad audience'),
    hints: expect.arrayContaining([expect.stringContaining('Workload Identity')]),
  });
});

test('an exchange of tokens in trouble is repeated by us alone', async () => {
  google.token = ({ url }, response) => (url === '/subject' ? json(response, { value: 's' }) : response.writeHead(503).end('overloaded'));
  const failure = await (await open({}, google.write('wif.json', federated()))).getProject().catch((thrown) => thrown);
  expect(failure).toMatchObject({ code: 'connection', message: expect.stringContaining('it answers HTTP 503') });
  expect(google.tokenRequests.filter(({ url }) => url === '/token')).toHaveLength(6);
});

test('a key that is none is the fault of the file', async () => {
  const api = await open({}, google.write('key.json', serviceAccount(`${google.origin}/token`, { private_key: 'not a key' })));
  await expect(api.getProject()).rejects.toMatchObject({ code: 'not-allowed', message: expect.stringContaining('service account runner@proj-of-key') });
});

test('something else in the place of a token endpoint is not quoted', async () => {
  const path = google.write('user.json', user());
  google.token = (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>secret</html>');
  const failure = await (await open({}, path)).accessToken().catch((thrown) => thrown);
  expect(failure).toMatchObject({ code: 'not-allowed', message: expect.stringContaining('what answers is not a token endpoint') });
  const subject = google.write('subject', 'secret, and no JSON');
  const file = google.write('wif.json', federated({ credential_source: { file: subject, format: { type: 'json', subject_token_field_name: 'value' } } }));
  const other = await (await open({}, file)).accessToken().catch((thrown) => thrown);
  expect(other).toMatchObject({ code: 'not-allowed' });
  expect(failure.message + other.message).not.toContain('secret');
});

test('a token endpoint in trouble is tried again; one that stays away is a connection failure', async () => {
  google.token = (_request, response, count) => (count < 3 ? response.writeHead(503).end() : json(response, { access_token: 't', expires_in: 3600 }));
  const path = google.write('user.json', user());
  expect(await (await open({}, path)).getProject()).toMatchObject({ name: 'p' });
  expect(google.tokenRequests).toHaveLength(3);
  google.token = (_request, response) => response.socket?.destroy();
  await expect((await open({}, path)).accessToken()).rejects.toMatchObject({
    code: 'connection',
    retry: 'same',
    message: expect.stringContaining("can't be reached"),
  });
  expect(google.tokenRequests).toHaveLength(9);
});

test('a project comes from the config, the environment, the credentials, in this order', async () => {
  const key = google.write('key.json', serviceAccount(`${google.origin}/token`));
  expect((await open({ GOOGLE_CLOUD_PROJECT: 'proj-env' }, key, 'proj-config')).project).toBe('proj-config');
  expect((await open({ GOOGLE_CLOUD_PROJECT: 'proj-env', GCLOUD_PROJECT: 'proj-old' }, key, null)).project).toBe('proj-env');
  expect((await open({ GCLOUD_PROJECT: 'proj-old' }, key, null)).project).toBe('proj-old');
  expect((await open({ CLOUDSDK_CORE_PROJECT: 'proj-sdk' }, key, null)).project).toBe('proj-sdk');
  expect((await open({}, key, null)).project).toBe('proj-of-key');
  expect((await open({}, google.write('quota.json', user({ quota_project_id: 'proj-quota' })), null)).project).toBe('proj-quota');
  const none = google.write('none.json', user());
  await expect(open({}, none, null)).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringContaining('GOOGLE_CLOUD_PROJECT'),
    hints: [expect.stringContaining('gcp.project'), expect.anything()],
  });
  await expect(open({ GOOGLE_CLOUD_PROJECT: '../x' }, none, null)).rejects.toThrow('GOOGLE_CLOUD_PROJECT is no project id');
});

test('what is opened loads no client library and sends nothing', async () => {
  await open({}, google.write('user.json', user()));
  expect([google.received, google.tokenRequests]).toEqual([[], []]);
});
