/** The body of instances.insert for every kind of machine that can be offered. */
import { describe, expect, test } from 'vitest';
import { labelKeys } from '../../../../src/core/machine.ts';
import type { GpuNeed } from '../../../../src/core/offer.ts';
import { machineTypeFacts } from '../../../../src/providers/gcp/catalogue/machine-type.ts';
import { type GcpOptions, readGcpOptions } from '../../../../src/providers/gcp/gcp-options.ts';
import { instanceBody, runSeconds } from '../../../../src/providers/gcp/instance-body.ts';
import { anyNeed, planFor } from '../../../contract/provider.ts';

const now = Date.UTC(2026, 10, 21);
const image = { name: 'img-1', selfLink: 'https://compute.example/projects/p/global/images/img-1', diskSizeGb: '50' };

interface Wanted {
  readonly type?: string;
  readonly gpu?: GpuNeed | null;
  readonly spot?: boolean;
  readonly diskGb?: number;
  readonly gcp?: Readonly<Record<string, unknown>>;
  readonly publicIp?: boolean;
  readonly seconds?: number;
}

function bodyFor({ type = 'g2-standard-4', gpu = { name: 'L4', count: 1 }, spot = false, diskGb, gcp = {}, publicIp = true, seconds = 3600 }: Wanted): any {
  const need = { ...anyNeed, spot, ...(gpu === null ? {} : { gpu }), ...(diskGb === undefined ? {} : { diskGb }), providerOptions: { gcp } };
  const price = { perHour: 1, currency: 'USD' } as const;
  const offer = { provider: 'gcp', region: 'us-central1', zone: 'us-central1-a', type, gpu, spot, price, asOf: now, source: 'a test', available: null };
  const machine = machineTypeFacts(type, gpu);
  if (machine === null) throw new Error(`${type} is not known`);
  const plan = planFor(offer, need, now, { deadline: now + seconds * 1000 });
  const options: GcpOptions = readGcpOptions(need.providerOptions);
  return instanceBody({ plan, options, machine, image, publicIp, metadata: [{ key: 'ssh-keys', value: 'x' }], now });
}

describe('every machine', () => {
  test.each([
    [{}],
    [{ spot: true }],
    [{ type: 'n1-standard-4', gpu: { name: 'T4', count: 1 } }],
    [{ type: 'e2-standard-4', gpu: null }],
    [{ type: 'a3-highgpu-8g', gpu: { name: 'H100', count: 8 } }],
    [{ gcp: { provisioning: 'flex-start' } }],
  ] satisfies [Wanted][])('%j ends by itself, and takes its disk along', (wanted) => {
    const { scheduling, disks, labels, serviceAccounts, metadata, tags } = bodyFor(wanted);
    expect(scheduling).toMatchObject({ instanceTerminationAction: 'DELETE', maxRunDuration: { seconds: '3600' }, automaticRestart: false });
    expect(disks).toHaveLength(1);
    expect(disks[0]).toMatchObject({ boot: true, autoDelete: true, initializeParams: { sourceImage: image.selfLink } });
    expect(disks[0].initializeParams.diskName).toBeUndefined(); // one of that name would be attached, whoever's it is
    expect(labels).toMatchObject({ 'gpu-run': '1', [labelKeys.owner]: 'ann-x7k2pq', [labelKeys.expires]: String(now / 1000 + 3600) });
    expect(disks[0].initializeParams.labels).toEqual(labels);
    for (const [key, value] of Object.entries(labels)) expect(`${key}=${value}`).toMatch(/^[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}$/);
    expect(serviceAccounts).toEqual([]);
    expect(metadata.items).toEqual([{ key: 'ssh-keys', value: 'x' }]);
    expect(tags).toEqual({ items: ['gpu-run'] });
  });
});

describe('GPUs', () => {
  test.each([
    ['g2-standard-4', 'L4', 1],
    ['g4-standard-48', 'RTX-PRO-6000', 1],
    ['a2-highgpu-1g', 'A100', 1],
    ['a2-ultragpu-8g', 'A100-80GB', 8],
    ['a3-highgpu-8g', 'H100', 8],
    ['a3-ultragpu-8g', 'H200', 8],
    ['a4-highgpu-8g', 'B200', 8],
  ])('of %s belong to the type and are not asked for again', (type, name, count) => {
    const body = bodyFor({ type, gpu: { name, count } });
    expect(body.machineType).toBe(`zones/us-central1-a/machineTypes/${type}`);
    expect(body.guestAccelerators).toBeUndefined();
    expect(body.scheduling.onHostMaintenance).toBe('TERMINATE');
  });

  test.each([
    ['T4', 'nvidia-tesla-t4'],
    ['V100', 'nvidia-tesla-v100'],
    ['P100', 'nvidia-tesla-p100'],
    ['P4', 'nvidia-tesla-p4'],
  ])('of N1 are asked for: %s', (name, accelerator) => {
    const body = bodyFor({ type: 'n1-standard-8', gpu: { name, count: 1 } });
    expect(body.guestAccelerators).toEqual([{ acceleratorType: `zones/us-central1-a/acceleratorTypes/${accelerator}`, acceleratorCount: 1 }]);
    expect(body.scheduling.onHostMaintenance).toBe('TERMINATE');
  });

  test('a machine without them is moved during maintenance, unless it is Spot', () => {
    expect(bodyFor({ type: 'e2-standard-4', gpu: null }).scheduling.onHostMaintenance).toBe('MIGRATE');
    expect(bodyFor({ type: 'e2-standard-4', gpu: null, spot: true }).scheduling.onHostMaintenance).toBe('TERMINATE');
  });

  test.each([
    ['g2-standard-4', 'L4', 1, 'pd-balanced'],
    ['a3-ultragpu-8g', 'H200', 8, 'hyperdisk-balanced'],
    ['a4-highgpu-8g', 'B200', 8, 'hyperdisk-balanced'],
    ['g4-standard-48', 'RTX-PRO-6000', 1, 'hyperdisk-balanced'],
  ])('%s boots from the kind of disk that it takes', (type, name, count, disk) => {
    expect(bodyFor({ type, gpu: { name, count } }).disks[0].initializeParams.diskType).toBe(`zones/us-central1-a/diskTypes/${disk}`);
  });
});

describe('how it is bought', () => {
  test.each([
    [{ spot: true }, 'SPOT'],
    [{ spot: false }, 'STANDARD'],
    [{ gcp: { provisioning: 'flex-start' } }, 'FLEX_START'],
    [{ gcp: { provisioning: 'reservation', reservation: 'ours' } }, 'STANDARD'],
    [{ spot: true, gcp: { provisioning: 'standard' } }, 'SPOT'],
  ] satisfies [Wanted, string][])('%j is %s', (wanted, model) => {
    expect(bodyFor(wanted).scheduling.provisioningModel).toBe(model);
  });

  test('a queued start waits two hours at most, and runs between 10 minutes and 7 days', () => {
    const gcp = { provisioning: 'flex-start' };
    expect(bodyFor({ gcp }).params).toEqual({ requestValidForDuration: { seconds: '7200' } });
    expect(bodyFor({}).params).toBeUndefined();
    for (const seconds of [599, 7 * 86_400 + 1]) {
      expect(() => bodyFor({ gcp, seconds })).toThrow(expect.objectContaining({ code: 'bad-input', message: expect.stringContaining('flex-start') }));
      expect(() => bodyFor({ seconds })).not.toThrow();
    }
  });

  test('a reservation is named', () => {
    expect(bodyFor({ gcp: { provisioning: 'reservation', reservation: 'ours' } }).reservationAffinity).toEqual({
      consumeReservationType: 'SPECIFIC_RESERVATION',
      key: 'compute.googleapis.com/reservation-name',
      values: ['ours'],
    });
    expect(bodyFor({}).reservationAffinity).toBeUndefined();
  });
});

describe('network and disk', () => {
  test.each([
    [{}, { network: 'global/networks/default' }],
    [{ network: 'mine' }, { network: 'global/networks/mine' }],
    [{ subnetwork: 'sub' }, { subnetwork: 'regions/us-central1/subnetworks/sub' }],
    [
      { network: 'projects/host/global/networks/n', subnetwork: 'projects/host/regions/us-central1/subnetworks/s' },
      { network: 'projects/host/global/networks/n', subnetwork: 'projects/host/regions/us-central1/subnetworks/s' },
    ],
  ])('%j', (gcp, expected) => {
    const [nic] = bodyFor({ gcp }).networkInterfaces;
    expect(nic).toEqual({ ...expected, nicType: 'GVNIC', accessConfigs: [{ type: 'ONE_TO_ONE_NAT', name: 'External NAT', networkTier: 'PREMIUM' }] });
  });

  test('without a public address there is no access config', () => {
    expect(bodyFor({ publicIp: false }).networkInterfaces[0].accessConfigs).toBeUndefined();
  });

  test('the disk is as large as asked, at least as the image, and never smaller in silence', () => {
    expect(bodyFor({}).disks[0].initializeParams.diskSizeGb).toBe('100');
    expect(bodyFor({ diskGb: 200.2 }).disks[0].initializeParams.diskSizeGb).toBe('201');
    expect(bodyFor({ type: 'e2-standard-4', gpu: null }).disks[0].initializeParams.diskSizeGb).toBe('50');
    expect(() => bodyFor({ diskGb: 20 })).toThrow(expect.objectContaining({ code: 'bad-input', hints: ['disk: 50GB'] }));
  });
});

describe("Google's timer", () => {
  test('runs from 30 seconds to 120 days', () => {
    expect(runSeconds(now + 3_600_999, now)).toBe(3600);
    expect(runSeconds(now - 5, now)).toBe(30);
    expect(runSeconds(now + 120 * 86_400_000, now)).toBe(120 * 86_400);
    expect(() => runSeconds(now + 121 * 86_400_000, now)).toThrow(expect.objectContaining({ code: 'bad-input' }));
  });
});
