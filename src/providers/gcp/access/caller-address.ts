/** The address that this computer has on the Internet, asked of Google and of nobody else. */
import { Resolver } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import { within } from './address-range.ts';

/** ns1.google.com and ns2.google.com, by address: the question must come from here, and by IPv4, as machines have no other. */
const googlesNameServers: readonly string[] = ['216.239.32.10', '216.239.34.10'];
/** Google's name servers answer it with the address that the question came from. */
const ownAddress = 'o-o.myaddr.l.google.com';

const notPublic = ['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16', '224.0.0.0/3'];

/**
 * null: not known, for whatever reason; within 4 seconds. The answer is not authenticated: it only ever chooses the one address for
 * which the SSH port is opened, and behind that port only our key is let in.
 */
export async function callerAddress(servers: readonly string[] = googlesNameServers, signal?: AbortSignal): Promise<string | null> {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  resolver.setServers(servers);
  const cancel = () => resolver.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    const answers = await resolver.resolveTxt(ownAddress);
    const address = answers.map((parts) => parts.join('')).find(isIPv4);
    return address === undefined || within(address, notPublic) !== 'no' ? null : address;
  } catch {
    return null;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
