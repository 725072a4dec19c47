/** Google's token endpoints: service accounts (signed JWT), refresh tokens, workload identity federation, impersonation. */
import { createPublicKey, generateKeyPairSync, type KeyPairKeyObjectResult, randomBytes, verify } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApiError } from './api-error.ts';

export interface TokenIssuer {
  /** A service account's key file. */
  readonly credentialsFile: string;
  /** A user's refresh token, as `gcloud auth application-default login` leaves it. */
  readonly userFile: string;
  /** `external_account`: a subject token from a file, exchanged here. */
  readonly federationFile: string;
  /** Throws 401 unless the header holds a token that was issued here, or one that the service account has signed for itself. */
  check(authorization: string | undefined): void;
  /** null: not a path of its own. Throws `ApiError`. */
  answer(path: string, body: string): TokenAnswer | null;
  /** Tokens given out so far are worth nothing. */
  revokeAll(): void;
  /** The refresh token is refused from now on (`invalid_grant`). */
  expireUser(): void;
}

export interface TokenAnswer {
  readonly status: number;
  readonly json: unknown;
}

const email = 'emulated@emulated.iam.gserviceaccount.com';

let serviceKey: KeyPairKeyObjectResult | null = null;

export function makeTokenIssuer(folder: string, origin: string, project: string): TokenIssuer {
  // A key is slow to make, and all emulators of a process may have the same.
  serviceKey ??= generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { privateKey, publicKey } = serviceKey;
  const tokens = new Set<string>();
  let userExpired = false;
  const refreshToken = `1//${randomBytes(16).toString('hex')}`;
  const subjectToken = randomBytes(16).toString('hex');
  const issue = (): string => {
    const token = `ya29.${randomBytes(24).toString('base64url')}`;
    tokens.add(token);
    return token;
  };
  const write = (name: string, content: unknown) => {
    const file = join(folder, name);
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
    chmodSync(file, 0o600);
    return file;
  };
  const signed = (token: string): Readonly<Record<string, unknown>> | null => readSigned(token, publicKey.export({ format: 'pem', type: 'spki' }).toString());

  // Google's own library always names Google's address, whatever the key file says.
  const audiences = [`${origin}/token`, 'https://oauth2.googleapis.com/token', 'https://www.googleapis.com/oauth2/v4/token'];
  const grant = (form: URLSearchParams): TokenAnswer => {
    const given = () => ({ status: 200, json: { access_token: issue(), expires_in: 3599, token_type: 'Bearer' } });
    const refuse = (description: string) => ({ status: 400, json: { error: 'invalid_grant', error_description: description } });
    if (form.get('grant_type') === 'refresh_token') {
      if (form.get('refresh_token') !== refreshToken || userExpired) return refuse('Token has been expired or revoked.');
      return given();
    }
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') return { status: 400, json: { error: 'unsupported_grant_type' } };
    const claims = signed(form.get('assertion') ?? '');
    if (claims === null) return refuse('Invalid JWT Signature.');
    if (claims['iss'] !== email || !audiences.includes(String(claims['aud'])) || Number(claims['exp']) * 1000 < Date.now())
      return refuse('Invalid JWT: wrong issuer, audience or time.');
    return given();
  };
  const exchange = (form: URLSearchParams): TokenAnswer => {
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:token-exchange' || form.get('subject_token') !== subjectToken) {
      return { status: 400, json: { error: 'invalid_grant', error_description: 'The subject token is not accepted.' } };
    }
    const issued_token_type = 'urn:ietf:params:oauth:token-type:access_token';
    return { status: 200, json: { access_token: issue(), issued_token_type, expires_in: 3599, token_type: 'Bearer' } };
  };

  const privatePem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const subjectFile = write('subject-token', subjectToken);
  return {
    credentialsFile: write('credentials.json', {
      type: 'service_account',
      project_id: project,
      private_key_id: randomBytes(20).toString('hex'),
      private_key: privatePem,
      client_email: email,
      client_id: '100000000000000000001',
      auth_uri: `${origin}/o/oauth2/auth`,
      token_uri: `${origin}/token`,
      universe_domain: 'googleapis.com',
    }),
    userFile: write('user.json', {
      type: 'authorized_user',
      client_id: 'emulated.apps.googleusercontent.com',
      client_secret: 'emulated',
      refresh_token: refreshToken,
      quota_project_id: project,
      token_uri: `${origin}/token`,
    }),
    federationFile: write('federation.json', {
      type: 'external_account',
      audience: '//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/emulated/providers/emulated',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${origin}/v1/token`,
      credential_source: { file: subjectFile },
    }),
    check: (authorization) => {
      const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1];
      if (token === undefined || !(tokens.has(token) || isSelfSigned(signed(token)))) throw unauthenticated(token === undefined);
    },
    answer: (path, body) => {
      if (path === '/token') return grant(new URLSearchParams(body));
      if (path === '/v1/token') return exchange(new URLSearchParams(body));
      if (!/^\/v1\/projects\/-\/serviceAccounts\/[^/]+:generateAccessToken$/.test(path)) return null;
      return { status: 200, json: { accessToken: issue(), expireTime: new Date(Date.now() + 3_599_000).toISOString() } };
    },
    revokeAll: () => tokens.clear(),
    expireUser: () => {
      userExpired = true;
    },
  };
}

function isSelfSigned(claims: Readonly<Record<string, unknown>> | null): boolean {
  if (claims === null || claims['iss'] !== email || claims['sub'] !== email || Number(claims['exp']) * 1000 < Date.now()) return false;
  return claims['aud'] === 'https://compute.googleapis.com/' || String(claims['scope']).includes('https://www.googleapis.com/auth/');
}

/** The claims of a JWT with a good RS256 signature; else null. */
function readSigned(token: string, publicPem: string): Readonly<Record<string, unknown>> | null {
  const [head = '', body = '', signature = ''] = token.split('.');
  try {
    if (JSON.parse(Buffer.from(head, 'base64url').toString()).alg !== 'RS256') return null;
    const good = verify('RSA-SHA256', Buffer.from(`${head}.${body}`), createPublicKey(publicPem), Buffer.from(signature, 'base64url'));
    return good ? JSON.parse(Buffer.from(body, 'base64url').toString()) : null;
  } catch {
    return null;
  }
}

function unauthenticated(missing: boolean): ApiError {
  const message = missing
    ? 'Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential.'
    : 'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.';
  return new ApiError({
    status: 401,
    reason: missing ? 'required' : 'authError',
    message,
    info: { reason: missing ? 'CREDENTIALS_MISSING' : 'ACCESS_TOKEN_EXPIRED', domain: 'googleapis.com' },
  });
}
