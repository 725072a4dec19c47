/** `gpu-run/testing`: doubles that keep the interfaces' promises, for tests of what is built on gpu-run. May import core and interfaces. */
export { createFakeClock, type FakeClock } from './fake-clock.ts';
export { createFakeProvider, type FakeCall, type FakeMachine, type FakeProvider, type FakeProviderOptions } from './fake-provider.ts';
export { createFakeTransport, type FakeCommand, type FakeOutcome, type FakeTransport, type FakeTransportOptions } from './fake-transport.ts';
