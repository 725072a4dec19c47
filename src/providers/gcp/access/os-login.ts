/**
 * OS Login: where a policy of the organization forces it, the guest ignores `ssh-keys`, and accounts come from Google's directory.
 * Then our key is put into the caller's own profile until the machine's deadline, and Google says the account's name.
 * May import core and this provider's seam.
 */
import { GpuRunError } from '../../../core/errors.ts';
import type { Fetch } from '../api/proxied-fetch.ts';
import type { Instance, Project } from '../gce-resources.ts';

/**
 * `forced`: on, although our instance says no, so only a policy can have done it. The effective value is the truth; where the API
 * does not tell it, the instance's own word counts, and that is ours: off. `project`: off for us, on for the project's other machines.
 */
export function osLoginState(instance: Instance, project: Project | null): 'off' | 'project' | 'forced' {
  if (instance.resourceStatus?.effectiveInstanceMetadata?.enableOsloginMetadataValue === true) return 'forced';
  const item = project?.commonInstanceMetadata?.items?.find(({ key }) => key === 'enable-oslogin');
  return item?.value.toLowerCase() === 'true' ? 'project' : 'off';
}

export interface OsLoginImport {
  /** `https://oslogin.googleapis.com`; plain http on loopback alone. */
  readonly endpoint: string;
  readonly fetch: Fetch;
  readonly token: (signal: AbortSignal) => Promise<string>;
  /** E-mail address of the account that the token is of. */
  readonly account: string;
  readonly project: string;
  readonly publicKey: string;
  /** Milliseconds since the epoch: the machine's deadline. */
  readonly expiresAt: number;
}

/** Sends nothing and answers nothing for longer than this, milliseconds. */
const limitMs = 20_000;

/** Returns the user to log in as. @throws GpuRunError `not-allowed` with the role that is missing, `connection`; the signal's reason */
export async function importOsLoginKey(
  { endpoint, fetch, token, account, project, publicKey, expiresAt }: OsLoginImport,
  signal: AbortSignal,
): Promise<string> {
  const base = new URL(endpoint);
  if (base.protocol !== 'https:' && !['127.0.0.1', '[::1]', 'localhost'].includes(base.hostname)) {
    throw new GpuRunError('bad-input', `'${endpoint}' is not encrypted: no token goes there.`);
  }
  const url = new URL(`/v1/users/${encodeURIComponent(account)}:importSshPublicKey`, base);
  url.searchParams.set('projectId', project);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  const body = JSON.stringify({ key: publicKey, expirationTimeUsec: String(BigInt(Math.ceil(expiresAt)) * 1000n) });
  let response: Response;
  let answer: unknown;
  try {
    const headers = { authorization: `Bearer ${await token(limit)}`, 'content-type': 'application/json' };
    response = await fetch(url, { method: 'POST', headers, body, signal: limit });
    answer = await response.json().catch(() => null);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof GpuRunError) throw error;
    throw new GpuRunError('connection', `Google's OS Login can't be reached: ${(error as Error).message}.`, { retry: 'same', cause: error });
  }
  if (response.status === 401 || response.status === 403) throw osLoginForced(account, project);
  if (!response.ok) throw new GpuRunError('connection', `Google's OS Login did not take the key (HTTP ${response.status}).`, { retry: 'same' });
  return userOf(answer);
}

/** Why nobody gets in, and what to do about it. */
export function osLoginForced(account: string | null, project: string): GpuRunError {
  const who = account === null ? 'user:YOU@EXAMPLE.COM' : `${account.endsWith('.gserviceaccount.com') ? 'serviceAccount' : 'user'}:${account}`;
  return new GpuRunError(
    'not-allowed',
    `A policy of the organization forces OS Login on the project '${project}', and these credentials may not log in by it.`,
    {
      hints: [
        `gcloud projects add-iam-policy-binding ${project} --member=${who} --role=roles/compute.osAdminLogin`,
        'For machines with a service account of their own also roles/iam.serviceAccountUser on that account.',
        'Or have the policy constraints/compute.requireOsLogin lifted for the project.',
      ],
    },
  );
}

function userOf(answer: unknown): string {
  const { loginProfile } = (answer ?? {}) as {
    readonly loginProfile?: { readonly posixAccounts?: readonly { readonly primary?: boolean; readonly username?: unknown }[] };
  };
  const accounts = Array.isArray(loginProfile?.posixAccounts) ? loginProfile.posixAccounts : [];
  const username = (accounts.find(({ primary }) => primary === true) ?? accounts[0])?.username;
  if (typeof username === 'string' && /^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$/.test(username)) return username;
  throw new GpuRunError('protocol', "Google's OS Login named no account to log in as.");
}
