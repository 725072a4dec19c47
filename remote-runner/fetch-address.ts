/**
 * Where data may be fetched from. An address is the user's, but redirects and name servers are not: none of them may lead to the
 * metadata service of a cloud, which hands out credentials, to anything else that is link-local, nor from outside to loopback.
 * May import protocol and `node:`.
 */
import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { addressProblem, isLoopbackName, shownUrl } from '../src/protocol/fetch.ts';
import { fetchError } from './fetch-error.ts';

/**
 * Beside link-local addresses (169.254.169.254 on Google, AWS, Azure and most others): AWS over IPv6 and Azure's and Alibaba's own, as
 * their documentation names them ("Instance metadata" on docs.aws.amazon.com, learn.microsoft.com and alibabacloud.com).
 */
function refusedAddresses(): BlockList {
  const list = new BlockList();
  list.addSubnet('0.0.0.0', 8, 'ipv4');
  list.addSubnet('169.254.0.0', 16, 'ipv4');
  list.addAddress('168.63.129.16', 'ipv4');
  list.addAddress('100.100.100.200', 'ipv4');
  list.addAddress('::', 'ipv6');
  list.addSubnet('fe80::', 10, 'ipv6');
  list.addAddress('fd00:ec2::254', 'ipv6');
  return list;
}

function loopbackAddresses(): BlockList {
  const list = new BlockList();
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addAddress('::1', 'ipv6');
  return list;
}

export interface AddressRules {
  /** Why the machine at this IP address is not asked; null: it may be. */
  refusal(ip: string): string | null;
  /** For connections: a name that leads to a refused address leads nowhere. */
  readonly lookup: LookupFunction;
}

/** `loopbackToo`: the user's own address names this machine. */
export function addressRules(loopbackToo: boolean): AddressRules {
  const refused = refusedAddresses();
  const loopback = loopbackAddresses();
  const refusal = (ip: string): string | null => {
    const family = isIP(ip) === 6 ? 'ipv6' : 'ipv4';
    if (refused.check(ip, family)) return `it leads to ${ip}, which belongs to the machine's own network or cloud and holds no data`;
    return !loopbackToo && loopback.check(ip, family) ? `it leads to ${ip}, the machine itself` : null;
  };
  return {
    refusal,
    lookup: (hostname, options, callback) => {
      lookup(hostname, { ...options, all: true }, (error, addresses) => {
        if (error !== null) return callback(error, '', 4);
        const why = addresses.map(({ address }) => refusal(address)).find((text) => text !== null);
        const [first] = addresses;
        if (why !== undefined && why !== null) return callback(new RefusedAddress(why), '', 4);
        if (options.all === true) return callback(null, addresses);
        callback(null, first?.address ?? '', first?.family ?? 4);
      });
    },
  };
}

/** Not a passing failure: asking again changes nothing. */
export class RefusedAddress extends Error {
  override readonly name = 'RefusedAddress';
}

/** @throws RunnerError `bad-input` for what is not fetched from, whoever names it */
export function checkAddress(address: string): void {
  const problem = addressProblem(address) ?? (isBucket(address) ? null : ipProblem(address, addressRules(true)));
  if (problem !== null) throw fetchError('bad-input', `Data can't be fetched from ${shownUrl(address).slice(0, 300)}: ${problem}.`);
}

/** In Cloud Storage. */
export function isBucket(address: string): boolean {
  return /^gs:/i.test(address);
}

function ipProblem(address: string, rules: AddressRules): string | null {
  const { hostname } = new URL(address);
  const host = hostname.replace(/^\[|\]$/g, '');
  return isIP(host) === 0 ? null : rules.refusal(host);
}

/** Where a redirect leads. @throws RunnerError `sync` where it may not lead */
export function redirected(from: URL, location: string, rules: AddressRules, loopbackToo: boolean): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from.href) : null;
  const refuse = (why: string) =>
    fetchError('sync', `${shownUrl(from.href)} leads on to ${shownUrl(to?.href ?? location).slice(0, 300)}, where nothing is fetched from: ${why}.`);
  if (to === null) throw refuse('it is no valid address');
  if (to.protocol !== 'https:' && to.protocol !== 'http:') throw refuse('only https:// is followed');
  if (to.protocol === 'http:' && !(loopbackToo && isLoopbackName(to.hostname))) throw refuse('only https:// is followed');
  if (!loopbackToo && isLoopbackName(to.hostname)) throw refuse('it is the machine itself');
  const why = ipProblem(to.href, rules);
  if (why !== null) throw refuse(why);
  return to;
}
