/** Access tokens for one credentials file: got when needed, kept in memory until they expire, and every failure said in words. */
import type { AuthClient } from 'google-auth-library';
import { GpuRunError, systemErrorCode } from '../../../core/errors.ts';
import { createAuthClient } from './auth-client.ts';
import { type CredentialsFile, type Environment, loginHint } from './credentials-file.ts';

export interface Tokens {
  /** `authorization`, and `x-goog-user-project` where somebody else's quota is used. @throws GpuRunError `not-allowed`, `connection` */
  headers(): Promise<Headers>;
  /** @throws GpuRunError `not-allowed`, `connection` */
  accessToken(): Promise<string>;
  /** The token was refused: the next call reads the file anew, as somebody may have logged in again. */
  renew(): void;
  /** Which credentials they are for: `PATH (KIND, named by WHAT)`. */
  source(): string;
}

export interface TokenParts {
  readonly env: Environment;
  readonly agent: (url: URL) => unknown;
  /** Reads the credentials file anew. */
  readonly reread: () => CredentialsFile;
}

/** The file is checked whole before this resolves; no token is asked for. @throws GpuRunError `not-allowed` */
export async function createTokens(first: CredentialsFile, { env, agent, reread }: TokenParts): Promise<Tokens> {
  let file = first;
  let client: Promise<AuthClient> | null = Promise.resolve(await createAuthClient(file, env, agent));
  const current = async (): Promise<AuthClient> => {
    if (client === null) {
      file = reread();
      client = createAuthClient(file, env, agent);
      client.catch(() => {
        client = null;
      });
    }
    return await client;
  };
  const ask = async <T>(what: (from: AuthClient) => Promise<T>): Promise<T> => {
    const from = await current();
    try {
      return await what(from);
    } catch (thrown) {
      throw tokenFailure(file, thrown);
    }
  };
  return {
    headers: () => ask(async (from) => await from.getRequestHeaders()),
    accessToken: () =>
      ask(async (from) => {
        const { token } = await from.getAccessToken();
        if (typeof token !== 'string' || token === '') throw new Error('the answer holds no access token');
        return token;
      }),
    renew: () => {
      client = null;
    },
    source: () => sourceOf(file),
  };
}

/** `thrown` holds the request, which holds secrets: only its status, its OAuth error and its system code are looked at. */
export function tokenFailure(file: CredentialsFile, thrown: unknown): GpuRunError {
  if (thrown instanceof GpuRunError) return thrown;
  const { content } = file;
  const source = `the credentials in ${sourceOf(file)}`;
  const { status, error, description } = answerOf(thrown);
  if (status !== null && status < 500 && status !== 429) {
    const expired = error === 'invalid_grant';
    const said = [error, description].filter((part) => part !== null).join(': ') || `HTTP ${status}`;
    return new GpuRunError('not-allowed', `Google gives no token for ${source}: ${expired ? 'they are expired or revoked' : 'they were refused'} (${said}).`, {
      hints: content['type'] === 'authorized_user' ? [loginHint] : [...hintsFor(content), loginHint],
    });
  }
  if (status !== null) return unreachable(source, `it answers HTTP ${status}`);
  const code = systemErrorCode(thrown) ?? (thrown instanceof Error ? systemErrorCode(thrown.cause) : undefined);
  if (code !== undefined && ofNetwork.test(code) && !ofFiles.test(code)) return unreachable(source, code);
  return new GpuRunError('not-allowed', `No token could be got for ${source}: ${reasonOf(thrown)}.`, { hints: [...hintsFor(content), loginHint] });
}

const ofNetwork = /^(E(?!RR_)[A-Z_]+|ERR_(TLS|SSL|PROXY|SOCKET|STREAM)_\w+|AbortError|TimeoutError|CERT_\w+|DEPTH_ZERO\w+|SELF_SIGNED\w+|UNABLE_TO\w+)$/;
const ofFiles = /^(ENOENT|EACCES|EPERM|EISDIR|ENOTDIR)$/;

/** The library's own words hold no secret (a key that can't be read, a token file that is not there); those of the language quote what was read. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof TypeError || thrown instanceof SyntaxError || !(thrown instanceof Error)) return 'what was read is not a token';
  return thrown.message.slice(0, 300);
}

function unreachable(source: string, why: string): GpuRunError {
  return new GpuRunError('connection', `The token endpoint for ${source} can't be reached: ${why}.`, {
    hints: ['Check the network, and HTTPS_PROXY and NO_PROXY if there is a proxy.'],
    retry: 'same',
  });
}

function sourceOf({ path, namedBy, content }: CredentialsFile): string {
  return `${path} (${kindOf(content)}, named by ${namedBy})`;
}

function kindOf({ type, client_email: email }: Readonly<Record<string, unknown>>): string {
  return type === 'service_account' && typeof email === 'string' ? `service account ${email}` : String(type);
}

function hintsFor({ type }: Readonly<Record<string, unknown>>): readonly string[] {
  if (type === 'service_account') return ['Check that the key and its service account still exist, and that the clock of this computer is right.'];
  if (type === 'external_account')
    return ['Check the audience and the attribute condition of the Workload Identity provider, and that the subject token is fresh.'];
  return [];
}

function answerOf(thrown: unknown): { readonly status: number | null; readonly error: string | null; readonly description: string | null } {
  const none = { status: null, error: null, description: null };
  if (typeof thrown !== 'object' || thrown === null) return none;
  const { response } = thrown as { readonly response?: { readonly status?: unknown; readonly data?: unknown } };
  // The exchange of a federated token throws its own error, without the answer: `Error code invalid_grant: DESCRIPTION - URI`.
  const exchanged = thrown instanceof Error ? /^Error code (\w+)(?:: ([\s\S]*))?$/.exec(thrown.message) : null;
  const status = typeof response?.status === 'number' ? response.status : exchanged === null ? null : 400;
  if (status === null) return none;
  const data = (typeof response?.data === 'object' && response.data !== null ? response.data : {}) as Readonly<Record<string, unknown>>;
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value.slice(0, 300) : null);
  const nested = typeof data['error'] === 'object' && data['error'] !== null ? (data['error'] as Readonly<Record<string, unknown>>) : null;
  return {
    status,
    error: text(nested?.['status']) ?? text(data['error']) ?? text(exchanged?.[1]),
    description: text(nested?.['message']) ?? text(data['error_description']) ?? text(exchanged?.[2]),
  };
}
