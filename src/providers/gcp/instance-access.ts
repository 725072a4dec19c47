/** How a running machine is reached, by whom, and by which host keys it is known. */
import { isIP } from 'node:net';
import type { Access } from '../../core/machine.ts';
import { publishedHostKeys, publishedSshPort } from './access/host-keys.ts';
import type { Instance } from './gce-resources.ts';
import type { Look } from './look.ts';

/** null: not known yet. There is no way in without the host keys. */
export async function accessOf({ api, ref, deadline, loginUser, signal }: Look, instance: Instance): Promise<Access | null> {
  const hostKeys = await publishedHostKeys(api, ref.zone, ref.name, signal);
  if (hostKeys === null) return null;
  const port = await publishedSshPort(api, ref.zone, ref.name, signal); // published before the keys
  const user = await loginUser(api, ref, instance, deadline, signal);
  const own = { kind: 'own', port, user, hostKeys } as const;
  if (!ref.publicIp) {
    const nic = instance.networkInterfaces?.[0]?.name ?? 'nic0';
    const { project, zone, name, credentialsFile } = ref;
    return { ...own, host: name, tunnel: { project, zone, instance: name, interface: nic, port, credentialsFile } };
  }
  const host = instance.networkInterfaces?.[0]?.accessConfigs?.[0]?.natIP;
  return typeof host === 'string' && isIP(host) !== 0 ? { ...own, host } : null; // it becomes a line of an SSH config
}
