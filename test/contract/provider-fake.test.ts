import { createFakeClock, createFakeProvider, type FakeProviderOptions } from '../../src/testing/index.ts';
import { anyNeed, describeProvider } from './provider.ts';

const open = (options: Omit<FakeProviderOptions, 'clock'>) => async () => {
  const clock = createFakeClock();
  return { provider: createFakeProvider({ clock, ...options }), need: anyNeed, now: clock.now, pause: () => clock.advance(1_000), close: async () => {} };
};

describeProvider('the fake provider', open({}));
describeProvider('a fake provider that foresees its refs', open({ expects: true }));
describeProvider('a slow fake provider', open({ bootMs: 30_000, endMs: 5_000 }));
