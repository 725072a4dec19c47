/** `reap` against the emulator, over HTTP: what may lie about in a project, ours and others'. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { labelKeys } from '../../../../src/core/machine.ts';
import { ruleName } from '../../../../src/providers/gcp/access/rule-name.ts';
import { refOfInstance } from '../../../../src/providers/gcp/list-instances.ts';
import { adoptFound } from '../../../../src/workflows/adopt.ts';
import type { RunContext } from '../../../../src/workflows/context.ts';
import { reap } from '../../../../src/workflows/reap.ts';
import { askGce, type GceAsk, instanceBody } from '../../../support/gce-emulator.ts';
import { createFakeContext, type FakeContext } from '../../workflows/fake-context.ts';
import { type GcpRig, hastyClock, openGcpRig } from './gcp-rig.ts';

let rig: GcpRig;
let fake: FakeContext;
let context: RunContext;
let ask: GceAsk;
beforeEach(async () => {
  rig = await openGcpRig({ operationMs: 0, allowSshRule: false });
  fake = createFakeContext(() => ({ gcp: rig.provider }));
  context = { ...fake.context, clock: hastyClock, homeLabel: 'this-laptop-abc123' };
  ask = await askGce(rig.emulator);
});
afterEach(() => fake[Symbol.dispose]());

const zone = 'us-central1-a';

interface Made {
  readonly owner?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly expiresIn?: number;
  readonly home?: string;
  /** Its disk stays when it is deleted. */
  readonly keepsDisk?: boolean;
  readonly in?: string;
}

/** As gpu-run labels them, unless told otherwise. */
async function made(
  name: string,
  { owner = context.owner, labels, expiresIn = 3600, home = 'other-laptop-abc123', keepsDisk = false, in: zone = 'us-central1-a' }: Made = {},
) {
  const all = labels ?? {
    [labelKeys.owner]: owner,
    [labelKeys.machine]: name,
    [labelKeys.name]: name.slice(0, -7),
    [labelKeys.expires]: String(Math.floor(Date.now() / 1000) + expiresIn),
    [labelKeys.home]: home,
  };
  const body = instanceBody({ name, zone, type: 'e2-standard-4', spot: false, labels: all });
  const [disk] = body['disks'];
  disk.autoDelete = !keepsDisk;
  disk.initializeParams.labels = all;
  body['scheduling'].onHostMaintenance = 'MIGRATE';
  const { json } = await ask('POST', `/zones/${zone}/instances`, body);
  if (json.error !== undefined) throw new Error(JSON.stringify(json.error));
  await ask('POST', `/zones/${zone}/operations/${json.name}/wait`);
}

const names = () => rig.emulator.instances().map(({ name }) => name);
const idsOf = (all: readonly { readonly id: string }[]) => all.map(({ id }) => id).toSorted();

test('other people and other tools are left alone, however much their machines look like ours; what is ours goes or is named', async () => {
  await made('past-abcdef', { expiresIn: -60 });
  await made('alive-abcdef');
  await made('stopped-abcdef');
  await rig.emulator.stop('stopped-abcdef');
  await made('unknown-abcdef', { home: 'this-laptop-abc123' });
  await made('cats-ghjkmn', { owner: `${context.owner}0` }); // an owner that begins like ours
  await made('gpu-run-abcdef', { labels: {} }); // a name like ours, no label
  await made('marked-abcdef', { labels: { 'gpu-run': '1', [labelKeys.machine]: 'marked-abcdef' } }); // everything but the owner
  await made('clone-1', { labels: { [labelKeys.owner]: context.owner, [labelKeys.machine]: 'alive-abcdef', [labelKeys.expires]: '1' } });
  const before = names();

  const dry = await reap({ dryRun: true }, context);
  expect(names()).toEqual(before);
  const result = await reap({ dryRun: false }, context);
  expect(result).toMatchObject({ unreachable: [], leftovers: [] });
  expect(idsOf(result.ended)).toEqual(['past-abcdef', 'stopped-abcdef', 'unknown-abcdef']);
  expect(idsOf(dry.ended)).toEqual(idsOf(result.ended));
  expect(idsOf(result.kept)).toEqual(['alive-abcdef', 'clone-1']);
  expect(idsOf(result.found)).toEqual([...idsOf(result.ended), ...idsOf(result.kept)].toSorted());
  expect(names().toSorted()).toEqual(['alive-abcdef', 'cats-ghjkmn', 'clone-1', 'gpu-run-abcdef', 'marked-abcdef']);
});

test('disks that machines have left behind go; those of machines that are there, and of other people, stay, and those of another computer that have time left', async () => {
  await made('cats-abcdef', { keepsDisk: true, home: 'this-laptop-abc123' });
  await made('dogs-abcdef', { keepsDisk: true });
  await made('owls-abcdef', { keepsDisk: true });
  await made('theirs-abcdef', { keepsDisk: true, owner: 'somebody-else' });
  for (const name of ['cats-abcdef', 'owls-abcdef', 'theirs-abcdef']) await rig.emulator.vanish(name);
  expect(rig.emulator.disks()).toHaveLength(4);
  const { ended, kept, leftovers } = await reap({ dryRun: false }, context);
  expect(ended).toMatchObject([{ id: 'cats-abcdef', why: 'its disk cats-abcdef was left behind at gcp' }]);
  expect(idsOf(kept)).toEqual(['dogs-abcdef', 'owls-abcdef']);
  expect(kept.map(({ why }) => why)).toContainEqual(expect.stringMatching(/^its disk owls-abcdef: made from other-laptop-abc123, with time until /));
  expect(leftovers).toEqual([]);
  expect(rig.emulator.disks()).toContain(`${zone}/owls-abcdef`);
  expect(await reap({ dryRun: false, elsewhere: true }, context)).toMatchObject({ leftovers: [] });
  expect(rig.emulator.disks().toSorted()).toEqual([`${zone}/theirs-abcdef`]);
});

test('two machines of one id, in two zones: both are found, and each is ended where it is', async () => {
  const zones = ['us-central1-a', 'europe-west4-a'];
  for (const place of zones) await made('twin-abcdef', { expiresIn: -60, in: place });
  for (const place of zones) await made('known-abcdef', { in: place });
  await adoptFound({}, context); // the ledger means one of the two
  const known = context.ledger.get('known-abcdef');
  await reap({ dryRun: false }, context);
  expect(names()).toEqual(['known-abcdef', 'known-abcdef']); // with time left
  const late = { ...context, clock: { ...hastyClock, now: () => Date.now() + 2 * 3_600_000 } };
  expect(known?.state).toBe('ready');
  expect(await reap({ dryRun: false }, late)).toMatchObject({ ended: [{ id: 'known-abcdef' }, { id: 'known-abcdef' }], kept: [], leftovers: [] });
  expect(names()).toEqual([]);
});

test('a disk that can not be deleted is named with the exact command, and keeps nothing else alive', async () => {
  await made('cats-abcdef', { keepsDisk: true, home: 'this-laptop-abc123' });
  await rig.emulator.vanish('cats-abcdef');
  await made('past-abcdef', { expiresIn: -60 });
  rig.emulator.faults.permissionDenied({ calls: /^disks\.delete$/, permission: 'compute.disks.delete' });
  const { ended, leftovers } = await reap({ dryRun: false }, context);
  expect(idsOf(ended)).toEqual(['past-abcdef']);
  expect(leftovers.join()).toContain(`gcloud compute disks delete cats-abcdef --zone=${zone} --project=emulated --quiet`);
});

test('the firewall rule goes when no machine of its state folder is left; one of another folder that has machines, of another owner, and one with a name like ours, stay', async () => {
  const rule = (name: string) => {
    const allowed = [{ IPProtocol: 'tcp', ports: ['22'] }];
    return ask('POST', '/global/firewalls', { name, network: 'global/networks/default', sourceRanges: ['203.0.113.7/32'], targetTags: ['gpu-run'], allowed });
  };
  const of = (owner: string, home: string) => ruleName({ owner, home }, 'default');
  const ours = of(context.owner, 'other-laptop-abc123');
  const others = [of(context.owner, 'third-laptop-abc123'), of('somebody-else', 'other-laptop-abc123'), 'gpu-run-ssh-mine'];
  for (const name of [ours, ...others]) await rule(name);
  await made('alive-abcdef');
  await made('third-abcdef', { home: 'third-laptop-abc123' });
  await reap({ dryRun: false }, context);
  expect(rig.emulator.firewalls()).toContain(ours);
  await rig.emulator.vanish('alive-abcdef');
  const { ended } = await reap({ dryRun: true }, context);
  expect(ended).toMatchObject([{ id: ours }]);
  expect(rig.emulator.firewalls()).toContain(ours);
  expect(await reap({ dryRun: false }, context)).toMatchObject({ ended: [{ id: ours }], leftovers: [] });
  expect(rig.emulator.firewalls()).not.toContain(ours);
  expect(rig.emulator.firewalls()).toEqual(expect.arrayContaining(others));
});

test('zones that do not answer are named; what was found elsewhere is ended all the same', async () => {
  await made('past-abcdef', { expiresIn: -60 });
  rig.emulator.faults.unreachableZone('europe-west4-a');
  const { ended, unreachable } = await reap({ dryRun: false }, context);
  expect(idsOf(ended)).toEqual(['past-abcdef']);
  expect(unreachable).toMatchObject([{ provider: 'gcp', code: 'connection', message: expect.stringContaining('europe-west4-a') }]);
});

test("a start from Google's queue has its whole time after it has waited: its label says what Google's timer says", () => {
  const at = (provisioningModel: string) =>
    refOfInstance(
      {
        id: '1',
        name: 'cats-abcdef',
        zone: `zones/${zone}`,
        status: 'RUNNING',
        machineType: 'g2-standard-4',
        creationTimestamp: 'no time',
        labels: { [labelKeys.expires]: '1000', other: 'x' },
        scheduling: { provisioningModel },
        resourceStatus: { scheduling: { terminationTimestamp: '2026-11-21T12:00:00.000-08:00' } },
      },
      'p',
      { project: 'p', credentialsFile: null },
    );
  expect(at('FLEX_START').labels).toEqual({ [labelKeys.expires]: String(Date.parse('2026-11-21T20:00:00Z') / 1000) });
  expect(at('SPOT')).toMatchObject({ labels: { [labelKeys.expires]: '1000' }, createdAt: null, data: { found: { spot: true } } });
});
