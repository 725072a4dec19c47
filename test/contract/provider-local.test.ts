import { systemClock } from '../../src/core/clock.ts';
import { openLocalMachines } from '../support/local-machines.ts';
import { anyNeed, describeProvider } from './provider.ts';

describeProvider('local', async () => {
  const { provider, close } = await openLocalMachines();
  return { provider, need: anyNeed, now: systemClock.now, pause: () => systemClock.sleep(10), close };
});
