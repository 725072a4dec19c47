/** The check of bodies before they are sent, and where they are sent. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { gcpSchemaFile, gcpSchemaText } from '../../../../../scripts/write-gcp-schema.ts';
import { GpuRunError } from '../../../../../src/core/errors.ts';
import { originOf } from '../../../../../src/providers/gcp/api/endpoint.ts';
import { decodeFailure } from '../../../../../src/providers/gcp/api/failed-call.ts';
import { validateBody } from '../../../../../src/providers/gcp/api/validate-body.ts';

test('the schema is the one of the installed client library', () => {
  expect(readFileSync(gcpSchemaFile, 'utf8'), 'run: node scripts/write-gcp-schema.ts').toBe(gcpSchemaText());
});

const good = {
  name: 'gr-a',
  machineType: 'zones/z/machineTypes/n1-standard-4',
  labels: { 'gpu-run': '1' },
  disks: [{ boot: true, autoDelete: true, initializeParams: { sourceImage: 'projects/p/global/images/i', diskSizeGb: '100', labels: { a: 'b' } } }],
  networkInterfaces: [
    { network: 'global/networks/default', nicType: 'GVNIC', accessConfigs: [{ type: 'ONE_TO_ONE_NAT', name: 'External NAT', networkTier: 'PREMIUM' }] },
  ],
  scheduling: {
    provisioningModel: 'SPOT',
    instanceTerminationAction: 'DELETE',
    maxRunDuration: { seconds: '14400' },
    onHostMaintenance: 'TERMINATE',
    automaticRestart: false,
    preemptionNoticeDuration: { seconds: 120 },
  },
  guestAccelerators: [{ acceleratorType: 'zones/z/acceleratorTypes/nvidia-tesla-t4', acceleratorCount: 1 }],
  tags: { items: ['gpu-run'] },
  metadata: { items: [{ key: 'ssh-keys', value: 'x' }] },
  serviceAccounts: [{ email: 'e', scopes: ['s'] }],
  shieldedInstanceConfig: { enableVtpm: true },
  reservationAffinity: { consumeReservationType: 'SPECIFIC_RESERVATION', key: 'k', values: ['v'] },
  params: { requestValidForDuration: { seconds: '7200' } },
};

test('a good body passes', () => {
  expect(() => validateBody('Instance', good)).not.toThrow();
  expect(() =>
    validateBody('Firewall', {
      name: 'f',
      direction: 'INGRESS',
      priority: 1000,
      allowed: [{ IPProtocol: 'tcp', ports: ['22'] }],
      sourceRanges: ['1.2.3.4/32'],
    }),
  ).not.toThrow();
});

const bad: readonly (readonly [string, object])[] = [
  ['scheduling.provisioningModel must be one of FLEX_START, RESERVATION_BOUND, SPOT, STANDARD', { scheduling: { provisioningModel: 'SPOTTY' } }],
  ['scheduling.provisionningModel is not known', { scheduling: { provisionningModel: 'SPOT' } }],
  ['scheduling.automaticRestart must be true or false', { scheduling: { automaticRestart: 'false' } }],
  ['scheduling.maxRunDuration.seconds must be a whole number as text', { scheduling: { maxRunDuration: { seconds: '4h' } } }],
  ['scheduling.maxRunDuration must be an object', { scheduling: { maxRunDuration: '4h' } }],
  ['disks[0].initializeParams.diskSizeGB is not known', { disks: [{ initializeParams: { diskSizeGB: '1' } }] }],
  ['disks[0].index is for Compute Engine alone to write', { disks: [{ index: 0 }] }],
  ['disks must be a list', { disks: {} }],
  ['labels.a must be text', { labels: { a: 1 } }],
  ['labels must be an object', { labels: ['a'] }],
  ['status is for Compute Engine alone to write', { status: 'RUNNING' }],
  ['guestAccelerators[0].acceleratorCount must be a whole number', { guestAccelerators: [{ acceleratorCount: '1' }] }],
  ['toString is not known', { toString: 'x' }],
];
for (const [problem, part] of bad) {
  test(`refused: ${problem}`, () => {
    expect(() => validateBody('Instance', { ...good, ...part })).toThrow(problem);
  });
}

test('all problems are named at once', () => {
  expect(() => validateBody('Instance', { nmae: 'a', zone: 'z' })).toThrow(/nmae is not known; zone is for Compute Engine/);
});

test('whatever the body, it passes or is refused as our bug', () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.record({ scheduling: fc.jsonValue(), disks: fc.jsonValue(), [Symbol.toStringTag]: fc.constant('x') })), (body) => {
      try {
        validateBody('Instance', body);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(GpuRunError);
        expect((thrown as GpuRunError).code).toBe('internal');
      }
    }),
  );
});

test('an endpoint: loopback in the clear, all else over https', () => {
  expect(originOf('compute', undefined)).toBe('https://compute.googleapis.com');
  expect(originOf('cloudbilling', '')).toBe('https://cloudbilling.googleapis.com');
  expect(originOf('iap-relay', undefined)).toBe('wss://tunnel.cloudproxy.app');
  for (const host of ['127.0.0.1:80', '127.8.9.1:1234', 'localhost:9', '[::1]:9']) {
    expect(originOf('compute', `http://${host}`)).toBe(new URL(`http://${host}`).origin);
    expect(originOf('iap-relay', `http://${host}`)).toBe(new URL(`http://${host}`).origin.replace('http', 'ws'));
  }
  expect(originOf('cloudbilling', 'https://gce.example.com/')).toBe('https://gce.example.com');
  expect(originOf('iap-relay', 'https://gce.example.com:8443')).toBe('wss://gce.example.com:8443');
  for (const endpoint of [
    'http://10.0.0.1:1',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'ftp://127.0.0.1',
    'nonsense',
    'http://user:secret@127.0.0.1',
    'https://x/path',
    'https://x/?q',
  ])
    expect(() => originOf('compute', endpoint), endpoint).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.not.stringContaining('secret') }),
    );
});

test('whatever the answer, it becomes an error with its status', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((text) => `{"error":${text}}`),
      ),
      fc.integer({ min: 300, max: 599 }),
      fc.string(),
      (body, status, retryAfter) => {
        const failure = decodeFailure('instances get', status, body, retryAfter, 0);
        expect(failure.status).toBe(status);
        expect(failure.message.length).toBeLessThan(700);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        expect(failure.message).not.toMatch(/[\u0000-\u0008\u001b]/);
      },
    ),
  );
});
