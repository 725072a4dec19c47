/** A tunnel that can't be opened says why in words: it is no bug of ours. */
import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/core/clock.ts';
import { GpuRunError } from '../../../../src/core/errors.ts';
import type { GceApi } from '../../../../src/providers/gcp/gce-api.ts';
import { GceError } from '../../../../src/providers/gcp/gce-error.ts';
import { createGcpProvider, type GcpProviderParts } from '../../../../src/providers/gcp/gcp-provider.ts';

const noAnswer = new GceError('no answer within 60 s', { status: null, reasons: [], details: [], call: 'POST token' });
const tell = async () => {
  throw noAnswer;
};
const signal = new AbortController().signal;
const to = { project: 'p1', zone: 'us-central1-a', instance: 'cats-1', interface: 'nic0', port: 22 };

test.each([
  ['the account', { api: tell, openTunnel: async () => expect.unreachable() }],
  ['the token or the relay', { api: async () => ({}) as GceApi, openTunnel: tell }],
])('%s does not answer', async (_, { api, openTunnel }) => {
  const accounts = { api, remember: () => {}, remembered: () => [] };
  const parts = { accounts, openTunnel, clock: systemClock } as Partial<GcpProviderParts> as GcpProviderParts; // a tunnel needs no more
  const failure = await createGcpProvider(parts)
    .tunnel?.open(to, signal)
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(GpuRunError);
  expect(failure).toMatchObject({ code: 'connection', message: expect.stringContaining('no answer within 60 s') });
});
