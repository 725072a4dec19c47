import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { callerAddress } from '../../../../../src/providers/gcp/access/caller-address.ts';
import { ensureSshAllowed, removeRuleWhenLast, type SshAccessNeed } from '../../../../../src/providers/gcp/access/firewall.ts';
import { ruleName } from '../../../../../src/providers/gcp/access/rule-name.ts';
import type { GceApi } from '../../../../../src/providers/gcp/gce-api.ts';
import { GceError } from '../../../../../src/providers/gcp/gce-error.ts';
import type { Firewall, Operation } from '../../../../../src/providers/gcp/gce-resources.ts';

const network = 'https://www.googleapis.com/compute/v1/projects/p1/global/networks/default';
const home = 'laptop-abc123';
const ours = ruleName({ owner: 'ann', home }, network);
const done: Operation = { id: '1', name: 'op', operationType: 'insert', status: 'DONE' };
const refused = (status = 403) =>
  new GceError("Required 'compute.firewalls.create' permission", { status, reasons: ['forbidden'], details: [], call: 'POST firewalls' });

/** A project with one network: rules, and instances by name with their owner, and their home where it is another one. */
function project(rules: Firewall[] = [], instances: Record<string, string> = { cats: 'ann' }) {
  const stopping = new Set<string>();
  const firewalls = new Map(rules.map((rule) => [rule.name, rule]));
  const refuse = new Set<string>();
  const calls: string[] = [];
  let onDelete = () => {};
  const asked = (call: string) => {
    calls.push(call);
    if (refuse.has(call)) throw refused();
  };
  const api: Partial<GceApi> = {
    project: 'p1',
    effectiveFirewalls: async () => {
      asked('effective');
      return { firewalls: [...firewalls.values()] };
    },
    getInstance: async (_zone, name) => (name in instances ? ({ name, networkInterfaces: [{ network }] } as never) : null),
    listInstances: async (filter) => ({
      items: Object.entries(instances).flatMap(([name, made]) => {
        const [owner, from = home] = made.split(' ');
        const labels = { 'gpu-run-owner': owner, 'gpu-run-home': from };
        return filter === `labels.gpu-run-owner=${owner}` ? [{ name, labels, status: stopping.has(name) ? 'STOPPING' : 'RUNNING' } as never] : [];
      }),
      unreachable: refuse.has('zone') ? ['us-central1-b'] : [],
    }),
    getFirewall: async (name) => firewalls.get(name) ?? null,
    insertFirewall: async (body) => {
      asked('insert');
      if (firewalls.has(body.name)) throw refused(409);
      firewalls.set(body.name, body);
      return done;
    },
    patchFirewall: async (name, body) => {
      asked('patch');
      firewalls.set(name, { ...(firewalls.get(name) as Firewall), ...body });
      return done;
    },
    deleteFirewall: async (name) => {
      asked('delete');
      firewalls.delete(name);
      onDelete();
      return done;
    },
    waitOperation: async (operation) => operation,
  };
  const need = (more: Partial<SshAccessNeed> = {}): SshAccessNeed => ({
    api: api as GceApi,
    zone: 'us-central1-a',
    name: 'cats',
    owner: 'ann',
    home,
    tag: 'gpu-run',
    port: 22,
    publicIp: true,
    allowFrom: [],
    callerAddress: async () => '203.0.113.7',
    ...more,
  });
  return { api: api as GceApi, stopping, firewalls, instances, refuse, calls, need, whenDeleted: (then: () => void) => (onDelete = then) };
}

const defaultAllow: Firewall = {
  name: 'default-allow-ssh',
  direction: 'INGRESS',
  sourceRanges: ['0.0.0.0/0'],
  allowed: [{ IPProtocol: 'tcp', ports: ['22'] }],
};

describe('letting SSH in', () => {
  test('what is there is used, and nobody is asked for our address', async () => {
    const { need, calls } = project([defaultAllow]);
    const callerAddress = async () => expect.unreachable();
    expect(await ensureSshAllowed(need({ callerAddress }))).toEqual({ state: 'allowed', by: expect.stringContaining('default-allow-ssh') });
    expect(calls).toEqual(['effective']);
  });

  test("one rule, for the caller's own address and our machines; a second machine uses it", async () => {
    const { need, firewalls, calls } = project();
    expect(await ensureSshAllowed(need())).toEqual({ state: 'made', rule: ours });
    expect([...firewalls.values()]).toEqual([
      {
        name: ours,
        network,
        direction: 'INGRESS',
        priority: 1000,
        sourceRanges: ['203.0.113.7/32'],
        targetTags: ['gpu-run'],
        allowed: [{ IPProtocol: 'tcp', ports: ['22'] }],
      },
    ]);
    expect((await ensureSshAllowed(need())).state).toBe('allowed');
    expect(calls.filter((call) => call === 'insert')).toHaveLength(1);
  });

  test('at another place the rule is changed, not doubled', async () => {
    const { need, firewalls } = project();
    await ensureSshAllowed(need());
    await ensureSshAllowed(need({ callerAddress: async () => '198.51.100.1' }));
    expect([...firewalls.values()].map(({ sourceRanges }) => sourceRanges)).toEqual([['198.51.100.1/32']]);
  });

  test('two computers of one owner have a rule each, behind one address too; where the second may make none, it uses the first', async () => {
    const { need, firewalls, refuse } = project();
    const atNight = { name: 'nightly', home: 'runner-def456' };
    await ensureSshAllowed(need()); // the laptop; its job runs
    expect((await ensureSshAllowed(need({ ...atNight, callerAddress: async () => '198.51.100.1' }))).state).toBe('made');
    expect([...firewalls.values()].map(({ sourceRanges }) => sourceRanges)).toEqual([['203.0.113.7/32'], ['198.51.100.1/32']]);
    expect((await ensureSshAllowed(need(atNight))).state).toBe('made');
    expect([...firewalls.values()].map(({ sourceRanges }) => sourceRanges)).toEqual([['203.0.113.7/32'], ['203.0.113.7/32']]);
    firewalls.delete(ruleName({ owner: 'ann', home: atNight.home }, network));
    refuse.add('insert');
    expect(await ensureSshAllowed(need(atNight))).toEqual({ state: 'allowed', by: expect.stringContaining(ours) });
  });

  test('forty machines at once make one rule', async () => {
    const { need, firewalls } = project();
    const all = await Promise.all(Array.from({ length: 40 }, () => ensureSshAllowed(need())));
    expect(all.every(({ state }) => state === 'made' || state === 'allowed')).toBe(true);
    expect(firewalls.size).toBe(1);
  });

  test('without a public address: the relay alone is let in', async () => {
    const { need, firewalls } = project();
    await ensureSshAllowed(need({ publicIp: false, callerAddress: async () => expect.unreachable() }));
    expect([...firewalls.values()][0]?.sourceRanges).toEqual(['35.235.240.0/20']);
  });

  test('ranges of the config; never the whole Internet', async () => {
    const { need, firewalls } = project();
    await ensureSshAllowed(need({ allowFrom: ['203.0.113.0/24', '2001:db8::/32'], callerAddress: async () => expect.unreachable() }));
    expect([...firewalls.values()][0]?.sourceRanges).toEqual(['203.0.113.0/24', '2001:db8::/32']);
    for (const range of ['0.0.0.0/0', '::/0', '0.0.0.0/00']) {
      await expect(ensureSshAllowed(need({ allowFrom: [range] }))).rejects.toMatchObject({ code: 'bad-input' });
    }
  });

  test('no permission: a warning with the exact command, no failure', async () => {
    const { need, refuse } = project();
    refuse.add('insert');
    expect(await ensureSshAllowed(need())).toEqual({
      state: 'unsure',
      warning: expect.stringContaining('203.0.113.7/32'),
      command: `gcloud compute firewall-rules create ${ours} --project=p1 --network=default --direction=INGRESS --action=ALLOW --rules=tcp:22 --source-ranges=203.0.113.7/32 --target-tags=gpu-run`,
    });
  });

  test('rules that may not be read: a rule is made all the same', async () => {
    const { need, refuse } = project();
    refuse.add('effective');
    expect((await ensureSshAllowed(need())).state).toBe('made');
  });

  test('an address that is not known: a command to fill in', async () => {
    const { need, calls } = project();
    expect(await ensureSshAllowed(need({ callerAddress: async () => null }))).toMatchObject({
      state: 'unsure',
      command: expect.stringContaining('--source-ranges=YOUR_ADDRESS/32'),
    });
    expect(calls).not.toContain('insert');
  });

  test('somebody forbids it: no rule is made against that', async () => {
    const forbidden: Firewall = { name: 'no-ssh', priority: 100, sourceRanges: ['0.0.0.0/0'], denied: [{ IPProtocol: 'tcp', ports: ['22'] }] };
    const { need, calls } = project([defaultAllow, forbidden]);
    expect(await ensureSshAllowed(need())).toEqual({ state: 'unsure', warning: expect.stringContaining('no-ssh'), command: null });
    expect(calls).toEqual(['effective']);
  });

  test("a shared network's rules belong to its own project", async () => {
    const { need, api, refuse } = project();
    refuse.add('insert');
    const shared = 'https://www.googleapis.com/compute/v1/projects/host-project/global/networks/shared';
    const ours = { ...api, getInstance: async () => ({ networkInterfaces: [{ network: shared }] }) as never };
    expect(await ensureSshAllowed(need({ api: ours }))).toMatchObject({ command: expect.stringContaining('--project=host-project --network=shared') });
  });

  test('what is no answer of Google is thrown', async () => {
    const { need, api } = project();
    const broken = { ...api, effectiveFirewalls: async () => Promise.reject(new TypeError('bug')) };
    await expect(ensureSshAllowed(need({ api: broken }))).rejects.toThrow('bug');
  });
});

describe('the last machine', () => {
  async function withRule(instances: Record<string, string>) {
    const given = project([], { ...instances, cats: 'ann' });
    await ensureSshAllowed(given.need());
    return given;
  }
  const catsEnded = { name: ours, owner: 'ann', network, ended: 'cats' };

  test('takes the rule with it, and only the last; machines from another computer have a rule of their own', async () => {
    const { api, firewalls, instances, stopping } = await withRule({ dogs: 'ann', birds: 'bob', nightly: 'ann runner-def456' });
    expect(await removeRuleWhenLast(api, catsEnded)).toBe(false);
    delete instances['dogs'];
    instances['ants'] = 'ann';
    stopping.add('ants'); // by the same `down`
    expect(await removeRuleWhenLast(api, catsEnded)).toBe(true);
    expect(firewalls.size).toBe(0);
    expect(await removeRuleWhenLast(api, catsEnded)).toBe(false);
  });

  test('stays where a zone did not answer, and where it may not be deleted', async () => {
    const { api, firewalls, refuse } = await withRule({});
    refuse.add('zone');
    expect(await removeRuleWhenLast(api, { ...catsEnded, network: null })).toBe(false);
    refuse.delete('zone');
    refuse.add('delete');
    expect(await removeRuleWhenLast(api, { ...catsEnded, network: null })).toBe(false);
    expect(firewalls.size).toBe(1);
  });

  test('a machine that was made meanwhile gets it back', async () => {
    const { api, firewalls, instances, whenDeleted } = await withRule({});
    const [before] = firewalls.values();
    whenDeleted(() => (instances['dogs'] = 'ann'));
    expect(await removeRuleWhenLast(api, catsEnded)).toBe(false);
    expect([...firewalls.values()]).toEqual([before]);
  });
});

describe("the caller's address", () => {
  /** A name server that answers every question with these texts. */
  async function ask(...texts: string[]): Promise<string | null> {
    const server = createSocket('udp4');
    server.on('message', (question, { port }) => {
      const end = question.indexOf(0, 12) + 5;
      const head = Buffer.from(question.subarray(0, end));
      head.writeUInt16BE(0x8180, 2);
      head.writeUInt16BE(texts.length, 6);
      head.writeUInt16BE(0, 8);
      head.writeUInt16BE(0, 10);
      const answers = texts.map((text) => {
        const data = Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
        return Buffer.concat([Buffer.from([0xc0, 0x0c, 0, 16, 0, 1, 0, 0, 0, 60, 0, data.length]), data]);
      });
      server.send(Buffer.concat([head, ...answers]), port, '127.0.0.1');
    });
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    const address = await callerAddress([`127.0.0.1:${server.address().port}`]);
    server.close();
    return address;
  }

  test('is what Google sees', async () => {
    expect(await ask('203.0.113.7')).toBe('203.0.113.7');
    expect(await ask('edns0-client-subnet 198.51.100.0/24', '203.0.113.7')).toBe('203.0.113.7');
  });

  test.each([['10.1.2.3'], ['127.0.0.1'], ['192.168.1.1'], ['0.0.0.0'], ['2001:db8::1'], ['0.0.0.0/0'], ['nonsense']])('%s is none', async (text) => {
    expect(await ask(text)).toBeNull();
  });

  test('nobody answers, or the caller gives up: not known', async () => {
    const abort = new AbortController();
    const asking = callerAddress(['127.0.0.1:9'], abort.signal);
    abort.abort();
    expect(await asking).toBeNull();
  });
});
