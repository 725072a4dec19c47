/** How an instance learns whom to let in: the `ssh-keys` item of its metadata, which Google's guest agent turns into an account. */
import { GpuRunError } from '../../../core/errors.ts';
import type { MetadataItem } from '../gce-resources.ts';

/** Clocks differ, and the machine ends up to 30 seconds after its deadline. */
const marginMs = 10 * 60_000;

/**
 * One user, one key, and when the guest agent takes the key away again; keys of the project's other people stay out. OS Login, which
 * would ignore `ssh-keys`, is switched off for the instance (a policy of the organization can forbid that: see `os-login.ts`).
 * @param publicKey `TYPE BASE64`, without comment
 * @param expiresAt milliseconds since the epoch: the machine's deadline
 * @throws GpuRunError `internal` for what would mean something else on this line
 */
export function sshKeysMetadata(user: string, publicKey: string, expiresAt: number): readonly MetadataItem[] {
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(user)) throw new GpuRunError('internal', `'${user}' can't be the name of an account.`);
  if (!/^[a-z0-9-]+ [A-Za-z0-9+/]+=*$/.test(publicKey)) throw new GpuRunError('internal', 'what should be the public key of a machine is none');
  const expireOn = new Date(expiresAt + marginMs).toISOString().replace(/\.\d+Z$/, '+0000');
  return [
    { key: 'ssh-keys', value: `${user}:${publicKey} google-ssh ${JSON.stringify({ userName: user, expireOn })}` },
    { key: 'block-project-ssh-keys', value: 'TRUE' },
    { key: 'enable-oslogin', value: 'FALSE' },
  ];
}
