import { systemClock } from '../../src/core/clock.ts';
import { createSshProvider } from '../../src/providers/ssh/ssh-provider.ts';
import { anyNeed, describeProvider } from './provider.ts';

describeProvider('ssh', async () => ({
  provider: createSshProvider({ clock: systemClock }),
  need: { ...anyNeed, providerOptions: { ssh: { host: 'gpu-box' } } },
  now: systemClock.now,
  pause: () => systemClock.sleep(10),
  close: async () => {},
}));
