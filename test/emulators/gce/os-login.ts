/** OS Login: keys in Google's directory instead of the instance's metadata. */
import ssh2 from 'ssh2';
import { ApiError } from './api-error.ts';
import type { World } from './world.ts';

export interface OsLoginKey {
  readonly user: string;
  readonly publicKey: string;
  /** Milliseconds since the epoch; null: never. */
  readonly expiresAt: number | null;
}

/** The account on every machine of the one who asks, whatever the address. */
export const osLoginUser = 'sa_100000000000000000001';

const importPath = /^\/v1\/users\/([^/]+):importSshPublicKey$/;

/** null: not a path of OS Login. Throws `ApiError`. */
export function answerOsLogin(world: World, method: string, path: string, query: URLSearchParams, body: string): unknown {
  const account = importPath.exec(path)?.[1];
  if (account === undefined || method !== 'POST') return null;
  if (!world.options.osLoginGranted) {
    const message = `The caller does not have permission on users/${account}.`;
    throw new ApiError({ status: 403, reason: null, message, info: { reason: 'IAM_PERMISSION_DENIED', domain: 'iam.googleapis.com' } });
  }
  const { key, expirationTimeUsec, ...more } = JSON.parse(body) as { key?: string; expirationTimeUsec?: string };
  const unknown = [...Object.keys(more), ...[...query.keys()].filter((name) => name !== 'projectId' && name !== 'regions')];
  if (unknown.length > 0) throw invalid(`Invalid JSON payload received. Unknown name "${unknown[0]}": Cannot find field.`);
  if (key === undefined || ssh2.utils.parseKey(key) instanceof Error) throw invalid('The SSH public key is not valid.');
  if (expirationTimeUsec !== undefined && !/^\d{1,19}$/.test(expirationTimeUsec))
    throw invalid(`Invalid value at 'ssh_public_key.expiration_time_usec' (TYPE_INT64)`);
  const expiresAt = expirationTimeUsec === undefined ? null : Number(BigInt(expirationTimeUsec) / 1000n);
  world.osLoginKeys.push({ user: osLoginUser, publicKey: key.split(' ').slice(0, 2).join(' '), expiresAt });
  const posixAccounts = [
    { primary: true, username: osLoginUser, uid: '1000000001', gid: '1000000001', homeDirectory: `/home/${osLoginUser}`, operatingSystemType: 'LINUX' },
  ];
  return { loginProfile: { name: account, posixAccounts } };
}

function invalid(message: string): ApiError {
  return new ApiError({ status: 400, reason: null, message });
}
