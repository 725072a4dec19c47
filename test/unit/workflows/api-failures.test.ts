/** What can't be confirmed is said to bill, with the exact command, and is never called gone. `npm run test:lab` fails each call in each way. */
import { expect, test } from 'vitest';
import { openSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts';
import { down } from '../../../src/workflows/down.ts';
import { reap } from '../../../src/workflows/reap.ts';
import { up } from '../../../src/workflows/up.ts';
import type { GceEmulator } from '../../emulators/gce/gce-emulator.ts';
import { callsWithoutFailure, expectHonestEnd, honest, liveThrough, openFailingRig } from '../../support/api-failures.ts';
import { upInput } from '../../support/crash-order.ts';
import { prepareRigs, type UpRig } from '../providers/gcp/up-rig.ts';

prepareRigs();

const hour = 3_600_000;
const deletes = /^instances\.delete$/;
const names = ({ emulator }: UpRig) => emulator.instances().map(({ name }) => name);
const cats = { names: ['cats'], all: false };

test.each<[string, (emulator: GceEmulator) => { remove(): void }]>([
  ['is accepted and does nothing', ({ faults }) => faults.operationError({ types: /^delete$/, names: /^cats-/, errors: [] })],
  ['never ends', ({ faults }) => faults.operationNeverEnds({ types: /^delete$/, names: /^cats-/ })],
  ['is answered with 503', ({ faults }) => faults.serverError({ calls: deletes })],
  ['is not answered', ({ faults }) => faults.hang({ calls: deletes, when: 'before' })],
  ['is not allowed', ({ faults }) => faults.permissionDenied({ calls: deletes, permission: 'compute.instances.delete' })],
])('a deletion that %s for an hour: it may bill, each time that it is tried, and goes afterwards', async (_, breakIt) => {
  const rig = await openFailingRig();
  const context = honest(rig);
  const { machine } = await up(upInput(false), context);
  const broken = breakIt(rig.emulator);
  for (const begun = rig.clock.now(); rig.clock.now() - begun < hour; ) {
    expect(await expectHonestEnd(rig, () => down(cats, context))).toBe('still-billing');
    const reaped = await reap({ dryRun: false }, context);
    expect(reaped).toMatchObject({ ended: [], leftovers: [expect.stringContaining(`instances delete ${machine.id} `)] });
    await rig.clock.sleep(hour / 2);
  }
  expect(names(rig)).toEqual([machine.id]);
  broken.remove();
  await down(cats, context);
  expect(names(rig)).toEqual([]);
  expect(rig.emulator.disks()).toEqual([]);
  expect(context.ledger.get(machine.id)?.state).toBe('gone');
});

test.each(['unreachables', 'warning', 'both'] as const)(
  'a zone that lists leave out (%s): what is there is neither forgotten nor called gone',
  async (form) => {
    const rig = await openFailingRig();
    const context = honest(rig);
    const { machine } = await up(upInput(false), context);
    const zone = machine.offer.zone ?? '';
    rig.emulator.faults.unreachableZone(zone, form);
    expect(await reap({ dryRun: false }, context)).toMatchObject({ ended: [], unreachable: [{ provider: 'gcp', message: expect.stringContaining(zone) }] });
    expect(context.ledger.list({ live: true })).toMatchObject([{ id: machine.id, state: 'ready' }]);
    // On another laptop nothing is known of it, and reap does not say that there is nothing.
    const elsewhere = { ...context, ledger: openSqliteLedger(`${context.home.ledger}-elsewhere`, context.clock) };
    expect(await reap({ dryRun: false }, elsewhere)).toMatchObject({ found: [], unreachable: [{ message: expect.stringContaining(zone) }] });
    expect(names(rig)).toEqual([machine.id]);
    rig.emulator.faults.clear();
    expect(await reap({ dryRun: false }, elsewhere)).toMatchObject({ ended: [{ id: machine.id }], unreachable: [], leftovers: [] });
    expect(names(rig)).toEqual([]);
    elsewhere.ledger.close();
  },
);

test('an outage that begins with the order, or soon after it: what it has made may bill, and is ended after it', async () => {
  const all = await callsWithoutFailure();
  const order = all.indexOf('instances.insert') + 1;
  expect(order).toBeGreaterThan(0);
  for (let at = order; at < order + 3; at++) await liveThrough({ kind: 'cut off after its effect', at, lasts: 'on' });
});
