/** What Google refuses: one order where nothing helps, the next place where that may, and the words that say what to do. */
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../../../src/cli/exit-codes.ts';
import { labelKeys } from '../../../../src/core/machine.ts';
import type { LaunchPlan } from '../../../../src/providers/provider.ts';
import { down } from '../../../../src/workflows/down.ts';
import { anyNeed, collect, planFor } from '../../../contract/provider.ts';
import { ApiError, notFound } from '../../../emulators/gce/api-error.ts';
import { askGce, insertAndWait } from '../../../support/gce-emulator.ts';
import { cpu, expectNothingLeft, expectOneUp, openRig, prepareRigs, type UpRig } from './up-rig.ts';

prepareRigs();

const calls = /^instances\.insert$/;
const central = ['us-central1-a', 'us-central1-b', 'us-central1-c'];
type Break = (rig: UpRig) => void;

describe('the project may not', () => {
  test.each<[string, Break, string[]]>([
    [
      'permission',
      ({ emulator }) => emulator.faults.permissionDenied({ calls, permission: 'compute.instances.create' }),
      ['compute.instances.create', 'gcloud projects add-iam-policy-binding emulated'],
    ],
    ['API', ({ emulator }) => emulator.faults.serviceDisabled({ calls }), ['gcloud services enable compute.googleapis.com --project=emulated']],
    ['billing', ({ emulator }) => emulator.faults.billingDisabled({ calls }), ['https://console.cloud.google.com/billing/linkedaccount?project=emulated']],
    [
      'policy',
      ({ emulator }) =>
        emulator.faults.answer({
          calls,
          error: new ApiError({ status: 412, reason: 'conditionNotMet', message: 'Constraint constraints/compute.vmExternalIpAccess violated for project 1.' }),
        }),
      ['compute.vmExternalIpAccess', 'public-ip: false'],
    ],
    [
      'any 403',
      ({ emulator }) => emulator.faults.answer({ calls, error: new ApiError({ status: 403, reason: null, message: 'Forbidden', html: '<html>Forbidden' }) }),
      ['Forbidden'],
    ],
  ])('%s: one order, and what to do about it', async (_, breakIt, says) => {
    const rig = await openRig();
    breakIt(rig);
    const outcome = await rig.up({ regions: [] });
    expect(outcome.inserts).toHaveLength(1);
    expect(outcome.error).toMatchObject({ code: 'not-allowed', retry: 'never' });
    expect(exitCodes['not-allowed']).toBe(77);
    for (const part of says) expect(outcome.text).toContain(part);
    expect(outcome.calls('instances.delete')).toBe(0);
    expectNothingLeft(rig);
  });

  test.each<[string, Break]>([
    ['permission', ({ emulator }) => emulator.faults.permissionDenied({ permission: 'compute.machineTypes.list' })],
    ['API', ({ emulator }) => emulator.faults.serviceDisabled()],
    ['billing', ({ emulator }) => emulator.faults.billingDisabled()],
  ])('%s, from the first call on: nothing is ordered', async (_, breakIt) => {
    const rig = await openRig();
    breakIt(rig);
    const outcome = await rig.up();
    expect(outcome.inserts).toEqual([]);
    expect(outcome.error?.code).toBe('not-allowed');
    expectNothingLeft(rig);
  });

  test('a zone that is not open to it: the next', async () => {
    const rig = await openRig();
    rig.emulator.faults.locationClosed({ zones: ['us-central1-a'] });
    const outcome = await rig.up();
    expect(outcome.inserts).toEqual(['us-central1-a', 'us-central1-b']);
    expectOneUp(rig, outcome, 'us-central1-b');
  });

  test.each(['orders', 'calls'] as const)('401 for all %s, after a new token: stop, and say whose credentials', async (what) => {
    const rig = await openRig();
    const message = 'Request had invalid authentication credentials.';
    rig.emulator.faults.answer({ error: new ApiError({ status: 401, reason: 'authError', message }), ...(what === 'orders' ? { calls } : {}) });
    const outcome = await rig.up();
    expect(outcome.inserts).toHaveLength(what === 'orders' ? 2 : 0); // the second with the new token
    expect(outcome.calls('token')).toBeGreaterThan(1);
    expect(outcome.error).toMatchObject({ code: 'not-allowed', retry: 'never' });
    expect(outcome.text).toContain(rig.emulator.credentialsFile);
    expectNothingLeft(rig);
  });
});

test('credentials that end while machines are ordered: nothing of the order is there, and nothing is said to bill', async () => {
  const rig = await openRig({}, ({ tokens }) => ({ GOOGLE_APPLICATION_CREDENTIALS: tokens.userFile }));
  const need = { ...anyNeed, regions: ['us-central1-a'] };
  const [offer] = await collect(rig.provider.offers(need));
  if (offer === undefined) throw new Error('no offer');
  const plan = () => planFor(offer, need, rig.context.clock.now());
  await rig.provider.terminate(await rig.provider.launch(plan()));
  rig.emulator.tokens.expireUser();
  rig.emulator.tokens.revokeAll();
  await expect(rig.provider.launch(plan())).rejects.toMatchObject({ code: 'not-allowed', leftBehind: 'nothing' });
});

describe('what is asked for is not there', () => {
  test.each([400, 404] as const)('the type in a zone (%i): the next zone', async (status) => {
    const rig = await openRig();
    rig.emulator.faults.machineTypeMissing({ status });
    const outcome = await rig.up();
    expect(outcome.inserts).toEqual(central);
    expect(outcome.error?.code).toBe('no-capacity');
    expectNothingLeft(rig);
  });

  test.each<[string, ApiError, string]>([
    ['400 invalid', new ApiError({ status: 400, reason: 'invalid', message: "Invalid value for field 'resource.tags'." }), 'bad-input'],
    ['404 on an image', notFound('projects/emulated/global/images/family/gone'), 'not-found'],
    ['404 on a network', notFound('projects/emulated/global/networks/gone'), 'not-found'],
  ])('%s: one order', async (_, error, code) => {
    const rig = await openRig();
    rig.emulator.faults.answer({ calls, error });
    const outcome = await rig.up({ regions: [] });
    expect(outcome.inserts).toHaveLength(1);
    expect(outcome.error).toMatchObject({ code, retry: 'never' });
    expectNothingLeft(rig);
  });

  test.each([
    ['INVALID_FIELD_VALUE', 'bad-input'],
    ['INVALID_USAGE', 'bad-input'],
    ['RESOURCE_NOT_FOUND', 'not-found'],
  ])('%s in the operation: one order', async (code, kind) => {
    const rig = await openRig();
    rig.emulator.faults.operationError({ errors: [{ code, message: "The resource 'projects/emulated/global/networks/default' was not found" }] });
    const outcome = await rig.up({ regions: [] });
    expect(outcome.inserts).toHaveLength(1);
    expect(outcome.error?.code).toBe(kind);
    expectNothingLeft(rig);
  });

  test('a network that the config names: one order', async () => {
    const rig = await openRig();
    const outcome = await rig.up({ providerOptions: { gcp: { network: 'gone' } } });
    expect(outcome.inserts).toHaveLength(1);
    expect(outcome.error?.retry).toBe('never');
    expect(outcome.text).toContain('network');
    expectNothingLeft(rig);
  });

  test('an image that the config names: no order', async () => {
    const rig = await openRig();
    const outcome = await rig.up({ providerOptions: { gcp: { image: 'deeplearning-platform-release/gone' } } });
    expect(outcome.inserts).toEqual([]);
    expect(outcome.error).toMatchObject({ code: 'not-found', retry: 'never' });
    expect(outcome.text).toContain('deeplearning-platform-release/gone');
    expectNothingLeft(rig);
  });

  test('a subnetwork in a region: the next region', async () => {
    const rig = await openRig();
    rig.emulator.faults.answer({ calls, regions: ['us-central1'], error: notFound('projects/emulated/regions/us-central1/subnetworks/mine') });
    rig.emulator.faults.stockout({ regions: ['us-east1'], code: 'REGION_RESOURCE_POOL_EXHAUSTED' });
    const outcome = await rig.up({ regions: ['us-central1', 'us-east1'] });
    expect(outcome.inserts.map((zone) => zone.slice(0, -2)).toSorted()).toEqual(['us-central1', 'us-east1']);
    expectNothingLeft(rig);
  });

  test.each([false, true])('the machine itself, though it was made (%s) or not: cleared up, and the next zone', async (keepsTarget) => {
    const rig = await openRig();
    const message = "The resource 'projects/emulated/zones/us-central1-a/instances/cats-k3v9xq' was not found";
    rig.emulator.faults.operationError({ errors: [{ code: 'RESOURCE_NOT_FOUND', message }], httpStatus: 404, keepsTarget });
    const outcome = await rig.up();
    expect(outcome.inserts).toEqual(central);
    expect(outcome.error?.code).toBe('no-capacity');
    expectNothingLeft(rig);
  });

  test('for a reason that nobody has heard of: cleared up, and told as it came', async () => {
    const rig = await openRig();
    rig.emulator.faults.operationError({ errors: [{ code: 'NEVER_SEEN', message: 'A new thing.' }], keepsTarget: true });
    const outcome = await rig.up();
    expect(outcome.error?.code).toBe('protocol');
    expect(outcome.text).toContain('A new thing (NEVER_SEEN).');
    expectNothingLeft(rig);
  });
});

describe('the name is taken', () => {
  const planOf = async ({ provider, context }: UpRig, changes: Partial<LaunchPlan> = {}) => {
    const need = { ...anyNeed, regions: ['us-central1-a'] };
    const [offer] = await collect(provider.offers(need));
    if (offer === undefined) throw new Error('no offer');
    return planFor(offer, need, context.clock.now(), changes);
  };

  test('by an earlier order for the same machine: it is that one', async () => {
    const rig = await openRig();
    const plan = await planOf(rig);
    const first = await rig.provider.launch(plan);
    const again = await rig.provider.launch({ ...plan, requestId: '11111111-2222-4333-8444-555555555555' });
    expect(again.data['instanceId']).toBe(first.data['instanceId']);
    expect(rig.emulator.instances()).toHaveLength(1);
  });

  test.each<[string, Break]>([
    ['told at once', () => {}],
    ['nothing is heard of the order', ({ emulator }) => emulator.faults.serverError({ calls })],
  ])("by another's machine (%s): neither used nor deleted", async (_, breakIt) => {
    const rig = await openRig();
    const plan = await planOf(rig);
    const ask = await askGce(rig.emulator);
    await insertAndWait(ask, { name: plan.id, zone: 'us-central1-a', labels: { [labelKeys.machine]: 'dogs-aaaaaa' } });
    breakIt(rig);
    const failure = await rig.provider.launch(plan).catch((error: unknown) => error);
    expect(failure).toMatchObject({ retry: 'elsewhere', leftBehind: 'nothing' });
    const ref = rig.provider.expect?.(plan);
    if (ref === undefined) throw new Error('no ref');
    expect(await rig.provider.terminate(ref)).toEqual({ state: 'gone', leftovers: [] });
    expect(rig.emulator.instances()).toMatchObject([{ name: plan.id, status: 'RUNNING' }]);
    expect(rig.emulator.calls.filter(({ id }) => id === 'instances.delete')).toEqual([]);
  });

  test('what somebody else has deleted is gone for us, too', async () => {
    const rig = await openRig();
    const outcome = await rig.up(cpu);
    expectOneUp(rig, outcome);
    await rig.emulator.deleteByOther(outcome.result?.machine.id ?? '');
    await down({ names: ['cats'], all: false }, rig.context);
    expectNothingLeft(rig);
  });
});
