/** A machine of which nobody knows the host keys: never connected to, and not kept. */
import { expect, test } from 'vitest';
import { cpu, expectNothingLeft, openRig, prepareRigs } from './up-rig.ts';

prepareRigs();

test('host keys that nobody ever publishes: no connection, other machines are tried, and nothing is left', async () => {
  const rig = await openRig({ skipsBoot: true });
  rig.emulator.faults.machine({ noHostKeys: true });
  const outcome = await rig.up(cpu);
  expect(outcome.error).toMatchObject({ code: 'unfit' });
  expect(outcome.text).toContain('has not published its host keys');
  expect(outcome.inserts).toHaveLength(4);
  expect(outcome.tookMs).toBeGreaterThan(outcome.inserts.length * 10 * 60_000);
  expectNothingLeft(rig);
});
