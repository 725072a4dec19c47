/** The machine ends in time by its own watchdog, with nobody connected and long before the provider's timer would end it. */
import { expect, test } from 'vitest';
import { armWatchdog } from '../../../../src/workflows/protection.ts';
import { reachMachine } from '../../../../src/workflows/reach-machine.ts';
import { up } from '../../../../src/workflows/up.ts';
import { specOf, until } from '../../../support/runner.ts';
import { fakeInput } from '../../workflows/fake-context.ts';
import { cpu, openRig, prepareRigs } from './up-rig.ts';

prepareRigs();

test('a machine switches itself off at its deadline; the next up clears it away and makes another', async () => {
  const rig = await openRig();
  const { result, error } = await rig.up(cpu);
  expect(error).toBeNull();
  const machine = result?.machine;
  if (machine === undefined) throw new Error('no machine');
  expect(result?.protection).toEqual(['gcp ends it at its deadline', expect.stringContaining('it switches the machine off after 15 idle minutes')]);
  {
    await using reached = await reachMachine(machine, rig.context);
    await reached.runner.call('submit', { spec: specOf('trap "" TERM; sleep 600') });
    const soon = { ...machine, deadline: rig.clock.now() + 4_000 };
    expect(await armWatchdog(soon, rig.provider.traits, reached.runner, rig.context)).toEqual({ endsJobs: true, powersOff: true, problem: null });
  }
  await until(() => rig.emulator.instances().every(({ status }) => status !== 'RUNNING'), 'the end of the machine', 40_000);
  const need = { ...fakeInput.need, regions: ['us-central1'] };
  const again = await up({ ...fakeInput, providers: ['gcp'], need }, rig.context);
  expect(again).toMatchObject({ reused: false });
  expect(rig.emulator.instances().map(({ name }) => name)).toEqual([again.machine.id]);
  await rig.close();
});
