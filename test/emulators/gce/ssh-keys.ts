/** The `ssh-keys` of metadata, read as the guest agent reads them: `user:type blob comment`, or with an expiry in JSON. */
import ssh2 from 'ssh2';
import { sshKeyLines } from './machine-json.ts';
import { type InstanceRecord, usesOsLogin, type World } from './world.ts';

export interface MetadataKey {
  readonly user: string;
  /** `ssh-ed25519 AAAA...` */
  readonly publicKey: string;
  /** Milliseconds since the epoch; null: never. */
  readonly expiresAt: number | null;
}

/** null: a line that the agent passes over. */
export function parseKeyLine(line: string): MetadataKey | null {
  const found = /^([a-z_][a-z0-9_-]{0,31}):(\S+ \S+)(?:\s+(.*))?$/.exec(line.trim());
  if (found === null) return null;
  const [, user = '', publicKey = '', comment = ''] = found;
  if (ssh2.utils.parseKey(publicKey) instanceof Error) return null;
  if (!comment.startsWith('google-ssh')) return { user, publicKey, expiresAt: null };
  try {
    const { expireOn } = JSON.parse(comment.slice('google-ssh'.length)) as { expireOn?: unknown };
    // The agent takes `2026-11-22T00:00:00+0000` and nothing else.
    const time = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)([+-]\d\d)(\d\d)$/.exec(String(expireOn));
    const expiresAt = time === null ? Number.NaN : Date.parse(`${time[1]}${time[2]}:${time[3]}`);
    return Number.isNaN(expiresAt) ? null : { user, publicKey, expiresAt };
  } catch {
    return null;
  }
}

/** Those of the metadata, or under OS Login those of the directory. */
function validKeys(world: World, instance: InstanceRecord): readonly MetadataKey[] {
  const keys = usesOsLogin(world, instance) ? world.osLoginKeys : sshKeyLines(world, instance).map(parseKeyLine);
  return keys.filter((key) => key !== null).filter(({ expiresAt }) => expiresAt === null || expiresAt > world.clock.now());
}

export function keysFor(world: World, instance: InstanceRecord, user: string): readonly string[] {
  return validKeys(world, instance)
    .filter((key) => key.user === user)
    .map(({ publicKey }) => publicKey);
}

export function usersOf(world: World, instance: InstanceRecord): readonly string[] {
  return validKeys(world, instance).map(({ user }) => user);
}
