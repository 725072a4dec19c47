import { BlockList } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { within } from '../../../../../src/providers/gcp/access/address-range.ts';
import { judge } from '../../../../../src/providers/gcp/access/firewall-verdict.ts';
import type { EffectiveFirewalls, Firewall, FirewallPolicyRule } from '../../../../../src/providers/gcp/gce-resources.ts';

const me = '203.0.113.7/32';
const ssh = [{ IPProtocol: 'tcp', ports: ['22'] }];
const allow = (more: object = {}): Firewall => ({ name: 'allow', direction: 'INGRESS', sourceRanges: ['0.0.0.0/0'], allowed: ssh, ...more });
const deny = (more: object = {}): Firewall => ({ name: 'deny', direction: 'INGRESS', sourceRanges: ['0.0.0.0/0'], denied: [{ IPProtocol: 'all' }], ...more });
const policy = (type: string, ...rules: FirewallPolicyRule[]) => ({ type, rules: rules.map((rule) => ({ direction: 'INGRESS', ...rule })) });
const toSsh = { srcIpRanges: ['0.0.0.0/0'], layer4Configs: [{ ipProtocol: 'tcp', ports: ['22'] }] };

const answer = (effective: EffectiveFirewalls, source = me) => judge(effective, { source, port: 22, tags: ['gpu-run'] }).answer;

describe('rules of a network', () => {
  test.each<[string, Firewall[], string]>([
    ['none: denied', [], 'denied'],
    ['the default network', [allow({ name: 'default-allow-ssh', priority: 65_534 })], 'allowed'],
    ['another port', [allow({ allowed: [{ IPProtocol: 'tcp', ports: ['80', '8000-9000'] }] })], 'denied'],
    ['a range of ports', [allow({ allowed: [{ IPProtocol: 'tcp', ports: ['20-30'] }] })], 'allowed'],
    ['all ports; by number; all protocols', [allow({ allowed: [{ IPProtocol: '6' }] })], 'allowed'],
    ['udp', [allow({ allowed: [{ IPProtocol: 'udp', ports: ['22'] }] })], 'denied'],
    ['switched off', [allow({ disabled: true })], 'denied'],
    ['outgoing', [allow({ direction: 'EGRESS' })], 'denied'],
    ['for our machines', [allow({ targetTags: ['web', 'gpu-run'] })], 'allowed'],
    ['for other machines', [allow({ targetTags: ['web'] })], 'denied'],
    ['from somewhere else', [allow({ sourceRanges: ['198.51.100.0/24', '10.0.0.0/8'] })], 'denied'],
    ['from our network', [allow({ sourceRanges: ['203.0.113.0/24'] })], 'allowed'],
    ['from IPv6 alone', [allow({ sourceRanges: ['::/0'] })], 'denied'],
    ['from other instances', [allow({ sourceRanges: [], sourceTags: ['bastion'] })], 'denied'],
    ['from us or other instances', [allow({ sourceTags: ['bastion'] })], 'allowed'],
    ['no source at all is any', [allow({ sourceRanges: [] })], 'allowed'],
    ['a denying rule of the same priority wins', [allow(), deny()], 'denied'],
    ['a lower number wins', [allow({ priority: 900 }), deny()], 'allowed'],
    ['a denying rule for others does not count', [allow(), deny({ priority: 1, sourceRanges: ['198.51.100.0/24'] })], 'allowed'],
    ['a service account that may or may not be ours', [allow({ targetServiceAccounts: ['a@b'] })], 'open'],
    ['a range that nobody can read', [allow({ sourceRanges: ['nonsense'] })], 'open'],
    ['a part of where we may be', [allow({ sourceRanges: ['203.0.113.7/32'] })], 'allowed'],
  ])('%s', (_, firewalls, expected) => {
    expect(answer({ firewalls })).toBe(expected);
  });

  test('from an address that is not known: only what holds for everybody is certain', () => {
    expect(answer({ firewalls: [allow()] }, '0.0.0.0/0')).toBe('allowed');
    expect(answer({ firewalls: [allow({ sourceRanges: ['203.0.113.0/24'] })] }, '0.0.0.0/0')).toBe('open');
    expect(answer({ firewalls: [allow(), deny({ priority: 1, sourceRanges: ['198.51.100.0/24'] })] }, '0.0.0.0/0')).toBe('open');
  });

  test('the rule that decides is named', () => {
    expect(judge({ firewalls: [allow({ name: 'default-allow-ssh' })] }, { source: me, port: 22, tags: [] }).rule).toContain('default-allow-ssh');
  });
});

describe('policies', () => {
  const open = [allow()];
  test.each<[string, EffectiveFirewalls, string]>([
    ['of the organization come first', { firewalls: open, firewallPolicys: [policy('HIERARCHY', { action: 'deny', match: toSsh })] }, 'denied'],
    ['let in what the network does not', { firewalls: [], firewallPolicys: [policy('HIERARCHY', { action: 'allow', match: toSsh })] }, 'allowed'],
    [
      'go_next leaves the rest of one list out',
      {
        firewalls: open,
        firewallPolicys: [policy('HIERARCHY', { priority: 1, action: 'goto_next', match: toSsh }, { priority: 2, action: 'deny', match: toSsh })],
      },
      'allowed',
    ],
    [
      'are read by priority, however they are listed',
      {
        firewallPolicys: [policy('HIERARCHY', { priority: 9, action: 'deny', match: toSsh }, { priority: 1, action: 'allow', match: toSsh })],
      },
      'allowed',
    ],
    [
      'one that is switched off, or outgoing',
      {
        firewalls: open,
        firewallPolicys: [policy('HIERARCHY', { action: 'deny', disabled: true, match: toSsh }, { action: 'deny', direction: 'EGRESS', match: toSsh })],
      },
      'allowed',
    ],
    [
      'by country: nobody knows',
      { firewalls: open, firewallPolicys: [policy('HIERARCHY', { action: 'deny', match: { ...toSsh, srcRegionCodes: ['US'] } as object })] },
      'open',
    ],
    [
      'by country, both ways the same',
      { firewalls: [], firewallPolicys: [policy('HIERARCHY', { action: 'deny', match: { srcRegionCodes: ['US'] } as object })] },
      'denied',
    ],
    ['an inspection may refuse', { firewalls: open, firewallPolicys: [policy('NETWORK', { action: 'apply_security_profile_group', match: toSsh })] }, 'open'],
    [
      'of the network, which may come before or after its rules',
      { firewalls: open, firewallPolicys: [policy('NETWORK', { action: 'deny', match: toSsh })] },
      'open',
    ],
    ['of the network, alone', { firewallPolicys: [policy('NETWORK', { action: 'allow', match: toSsh })] }, 'allowed'],
  ])('%s', (_, effective, expected) => {
    expect(answer(effective)).toBe(expected);
  });
});

test('an address lies within ranges exactly when Node says so', () => {
  const v4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }));
  const v6 = fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 }));
  fc.assert(
    fc.property(
      fc.oneof(fc.tuple(fc.ipV4(), v4, fc.constant('ipv4' as const)), fc.tuple(fc.ipV6(), v6, fc.constant('ipv6' as const))),
      ([address, [network, prefix], family]) => {
        const list = new BlockList();
        list.addSubnet(network, prefix, family);
        expect(within(address, [`${network}/${prefix}`])).toBe(list.check(address, family) ? 'yes' : 'no');
        expect(within(`${address}/${prefix}`, [`${address}/${prefix}`])).toBe('yes');
      },
    ),
    { numRuns: 500 },
  );
});

test('ranges: parts, and what is none', () => {
  expect(within('10.0.0.0/8', ['10.1.0.0/16'])).toBe('partly');
  expect(within('10.1.0.0/16', ['10.0.0.0/8'])).toBe('yes');
  for (const nonsense of ['', '10.0.0.0/33', '10.0.0/8', 'fe80::1%eth0', '1.2.3.4/8/9', '1.2.3.4/-1']) expect(within('10.0.0.1', [nonsense])).toBe('partly');
});
