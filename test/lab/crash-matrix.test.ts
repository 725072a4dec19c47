/** gpu-run is killed with SIGKILL at every step that it has, each time in a world of its own, and the next one leaves nothing behind. */
import { expect, test } from 'vitest';
import { type CrashCommand, crash, crashesOf, runCrashes } from '../support/crash-matrix.ts';
import { prepareRigs } from '../unit/providers/gcp/up-rig.ts';

prepareRigs();

test.each<CrashCommand>(['up', 'train', 'down', 'extend'])(
  '%s, killed before and after every request, every write of the ledger and every word to the machine',
  async (command) => {
    const { steps } = await crash({ command, at: null, by: 'next' });
    const crashes = crashesOf(command, steps);
    const { died, failures } = await runCrashes(crashes, steps);
    console.log(`${command}: ${crashes.length} steps, killed at ${died} of them`);
    expect(failures).toEqual([]);
    expect(died).toBeGreaterThan(crashes.length * 0.8); // a machine that boots sooner is looked at less often
  },
  600_000,
);
