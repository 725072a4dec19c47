/**
 * The host keys that an instance has published over the API, so that its first connection is to nobody else. Google's guest agent,
 * cloud-init or our startup script write them as guest attributes `hostkeys/TYPE`. Any process of the instance can write them: they
 * are read before any code of the user runs, and are pinned from then on. May import core and this provider's seam.
 */
import type { HostKey } from '../../../core/machine.ts';
import type { GceApi } from '../gce-api.ts';

/** The types that Google's own tools take, strongest first. */
const keyTypes = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa'] as const;

/** No key of these types comes near it. */
const longestKey = 4096;

/** null: none was published yet. What is no key is left out: nothing is ever trusted because nothing better was there. @throws GceError */
export async function publishedHostKeys(api: GceApi, zone: string, name: string, signal?: AbortSignal): Promise<readonly HostKey[] | null> {
  const attributes = await api.guestAttributes(zone, name, 'hostkeys/', signal);
  const keys = keyTypes.flatMap((type) => checkedKey(type, attributeOf(attributes, 'hostkeys', type)));
  return keys.length === 0 ? null : keys;
}

/** Where the SSH server listens: our startup script says so when it isn't 22. Anything but a port counts as not said. @throws GceError */
export async function publishedSshPort(api: GceApi, zone: string, name: string, signal?: AbortSignal): Promise<number> {
  const said = attributeOf(await api.guestAttributes(zone, name, 'gpu-run/', signal), 'gpu-run', 'ssh-port')?.trim() ?? '';
  const port = /^\d{1,5}$/.test(said) ? Number(said) : 0;
  return port >= 1 && port <= 65_535 ? port : 22;
}

/** The seam may name an attribute with or without its namespace. */
function attributeOf(attributes: ReadonlyMap<string, string>, namespace: string, key: string): string | undefined {
  return attributes.get(`${namespace}/${key}`) ?? attributes.get(key);
}

/** The text up to the first white space, so that no second line gets into a known_hosts file; canonical base64; a key of the type that it is named by. */
function checkedKey(type: string, value: string | undefined): HostKey[] {
  if (value === undefined || value.length > longestKey) return [];
  const base64 = /^\S*/.exec(value)?.[0] ?? '';
  const blob = Buffer.from(base64, 'base64');
  if (base64 === '' || blob.toString('base64') !== base64) return [];
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  if (length !== type.length || blob.length <= 4 + length || blob.toString('latin1', 4, 4 + length) !== type) return [];
  return [`${type} ${base64}`];
}
