/** Whom to log in as: the account that the metadata makes, or, where OS Login is forced, the one that Google names once it has our key. */
import { importOsLoginKey, osLoginForced, osLoginState } from './access/os-login.ts';
import type { Fetch } from './api/proxied-fetch.ts';
import type { GceApi } from './gce-api.ts';
import type { Instance } from './gce-resources.ts';
import type { InstanceRef } from './instance-ref.ts';

export type LoginUser = (api: GceApi, ref: InstanceRef, instance: Instance, expiresAt: number, signal: AbortSignal | undefined) => Promise<string>;

/** `endpoint`: of the OS Login API. A key is handed in once in a process. */
export function createLoginUser(endpoint: string, fetch: Fetch): LoginUser {
  const handedIn = new Map<string, Promise<string>>();
  return async (api, ref, instance, expiresAt, signal) => {
    if (osLoginState(instance, null) !== 'forced') return ref.user;
    if (ref.sshPublicKey === null) return ref.user; // found by its label: there is no key to hand in, nobody logs in from here
    const { account, project } = api;
    if (account === null) throw osLoginForced(account, project);
    let user = handedIn.get(instance.id);
    if (user === undefined) {
      const token = (limit: AbortSignal) => api.accessToken(limit);
      const order = { endpoint, fetch, token, account, project, publicKey: ref.sshPublicKey, expiresAt };
      user = importOsLoginKey(order, signal ?? new AbortController().signal);
      handedIn.set(instance.id, user);
      user.catch(() => handedIn.delete(instance.id));
    }
    return await user;
  };
}
