/**
 * From a credentials file to the object of google-auth-library that gets tokens for it. The kinds are told apart here, so that the
 * library never searches by itself: its search ends at the metadata server and starts gcloud.
 */
import { createRequire } from 'node:module';
import type { AuthClient } from 'google-auth-library';
import { GpuRunError } from '../../../core/errors.ts';
import { type CredentialsFile, type Environment, loginHint } from './credentials-file.ts';
import { isLoopback } from './endpoint.ts';

type Library = typeof import('google-auth-library');
type Transporter = InstanceType<Library['gaxios']['Gaxios']>;

const scopes = ['https://www.googleapis.com/auth/cloud-platform'];
/** Where the library asks for tokens, whatever the file's `token_uri` says. */
const libraryTokenUrl = 'https://oauth2.googleapis.com/token';

/** Fields that name where secrets are sent: only there where nobody can read along. */
const addresses = ['token_uri', 'token_url', 'token_info_url', 'service_account_impersonation_url', 'revoke_url'];

/** `agent`: of all requests for tokens. @throws GpuRunError `not-allowed`: a kind that is not known, or a field is missing or odd */
export async function createAuthClient(file: CredentialsFile, env: Environment, agent: (url: URL) => unknown): Promise<AuthClient> {
  const library = await import('google-auth-library');
  const client = clientOf(file, file.content, library, (tokenUrl) => transporterFor(library, tokenUrl, agent));
  const quotaProject = env['GOOGLE_CLOUD_QUOTA_PROJECT'];
  if (quotaProject !== undefined && quotaProject !== '') client.quotaProjectId = quotaProject;
  return client;
}

function clientOf(
  file: CredentialsFile,
  content: Readonly<Record<string, unknown>>,
  library: Library,
  transporterOf: (tokenUrl: string) => Transporter,
): AuthClient {
  for (const key of addresses) checkAddress(file, key, content[key]);
  const text = (key: string): string => {
    const value = content[key];
    if (typeof value !== 'string' || value === '') throw unusable(file, `${key} is missing`);
    return value;
  };
  const optional = (key: string): string | undefined => (typeof content[key] === 'string' ? content[key] : undefined);
  const transporter = transporterOf(optional('token_uri') ?? libraryTokenUrl);
  const universe = optional('universe_domain');
  if (universe !== undefined && universe !== 'googleapis.com') throw unusable(file, 'it belongs to another cloud than googleapis.com');
  const quotaProjectId = optional('quota_project_id');
  const shared = { transporter, ...(quotaProjectId === undefined ? {} : { quotaProjectId }) };
  const type = content['type'];
  try {
    switch (type) {
      case 'service_account':
        return new library.JWT({
          ...shared,
          email: text('client_email'),
          key: text('private_key'),
          scopes,
          projectId: optional('project_id') ?? null,
        } as object);
      case 'authorized_user':
        return new library.UserRefreshClient({
          ...shared,
          clientId: text('client_id'),
          clientSecret: text('client_secret'),
          refreshToken: text('refresh_token'),
        });
      case 'external_account':
        return externalClient(library, { ...content, ...shared, audience: text('audience'), scopes });
      case 'external_account_authorized_user':
        return new library.ExternalAccountAuthorizedUserClient({ ...content, ...shared, refresh_token: text('refresh_token') } as never);
      case 'impersonated_service_account': {
        const source = content['source_credentials'];
        if (typeof source !== 'object' || source === null) throw unusable(file, 'source_credentials is missing');
        const target = /\/serviceAccounts\/([^/:]+):/.exec(text('service_account_impersonation_url'))?.[1];
        if (target === undefined) throw unusable(file, 'service_account_impersonation_url names no service account');
        const sourceClient = clientOf(file, source as Readonly<Record<string, unknown>>, library, transporterOf);
        const endpoint = new URL(text('service_account_impersonation_url')).origin;
        const options = { ...shared, sourceClient, targetPrincipal: target, targetScopes: scopes, delegates: delegatesOf(content), endpoint };
        return withoutWarning(() => new library.Impersonated(options));
      }
      default:
        throw unusable(file, `its type is ${typeof type === 'string' ? JSON.stringify(type.slice(0, 60)) : 'missing'}, not one that gpu-run knows`);
    }
  } catch (thrown) {
    // The library says what is odd in an external_account file, without its secrets.
    throw thrown instanceof GpuRunError ? thrown : unusable(file, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** As the library chooses, without its warning: the file is the user's own, and its addresses are checked above. */
function externalClient(library: Library, options: Readonly<Record<string, unknown>>): AuthClient {
  const source = options['credential_source'];
  const has = (key: string) => typeof source === 'object' && source !== null && key in source;
  const client = has('environment_id')
    ? new library.AwsClient(options as never)
    : has('executable')
      ? new library.PluggableAuthClient(options as never)
      : new library.IdentityPoolClient(options as never);
  // The exchange has a transporter of its own, which would repeat by itself and know no time limit.
  const { stsCredential } = client as unknown as { readonly stsCredential?: { transporter: unknown } };
  if (stsCredential !== undefined) stsCredential.transporter = options['transporter'];
  return client;
}

/** The library warns, on the console, of addresses in the file; they are checked above. Its own search does the same with this function. */
function withoutWarning<T>(make: () => T): T {
  const { suppressAdcWarning } = createRequire(import.meta.url)('google-auth-library/build/src/util.js') as { suppressAdcWarning(make: () => T): T };
  return suppressAdcWarning(make);
}

/** Repeats nothing by itself, and goes where the file says: the library has Google's address built in. */
function transporterFor(library: Library, tokenUrl: string, agent: (url: URL) => unknown): Transporter {
  const transporter = new library.gaxios.Gaxios({ agent: agent as never, timeout: 30_000 });
  transporter.interceptors.request.add({
    resolved: async (config) => {
      if (config.url.href === libraryTokenUrl) config.url = new URL(tokenUrl);
      config.retry = false;
      config.retryConfig = { retry: 0, noResponseRetries: 0 };
      return config;
    },
  });
  transporter.interceptors.response.add({
    resolved: async (response) => {
      // The library would go on with the text, and quote it in its error.
      if (response.config.method === 'POST' && typeof response.data === 'string') throw new Error('what answers is not a token endpoint');
      return response;
    },
  });
  return transporter;
}

function checkAddress(file: CredentialsFile, key: string, value: unknown): void {
  if (value === undefined) return;
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))) return;
  throw unusable(file, `${key} is not an https address, and secrets would be sent there`);
}

function delegatesOf({ delegates }: Readonly<Record<string, unknown>>): string[] {
  return Array.isArray(delegates) ? delegates.filter((name) => typeof name === 'string') : [];
}

function unusable({ path, namedBy }: CredentialsFile, why: string): GpuRunError {
  return new GpuRunError('not-allowed', `The Google credentials in ${path} (named by ${namedBy}) can't be used: ${why}.`, { hints: [loginHint] });
}
