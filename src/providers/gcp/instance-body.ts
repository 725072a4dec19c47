/**
 * The body of `instances.insert`. Every machine carries a timer of the provider's own (`maxRunDuration`, ends in DELETE), labels that
 * find it again, disks that go with it, and no rights in the project unless asked for.
 * Source: Compute Engine v1, discovery document of 2026-09-22.
 */
import { GpuRunError } from '../../core/errors.ts';
import type { Offer, ResourceNeed } from '../../core/offer.ts';
import type { LaunchPlan } from '../provider.ts';
import type { GceMachine } from './catalogue/machine-type.ts';
import type { Image, InstanceBody, MetadataItem } from './gce-resources.ts';
import type { GcpOptions } from './gcp-options.ts';
import { regionOf } from './instance-ref.ts';

export interface BodyParts {
  readonly plan: LaunchPlan;
  readonly options: GcpOptions;
  readonly machine: GceMachine;
  readonly image: Image;
  readonly publicIp: boolean;
  /** `ssh-keys` and what belongs to it, the startup script. */
  readonly metadata: readonly MetadataItem[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Rules of firewalls name it. */
export const networkTag = 'gpu-run';
/** All that is ours, whoever's: for people who look at the console. */
export const markLabel = { 'gpu-run': '1' } as const;

/** Google takes 30 seconds to 120 days. */
const timer = { leastSeconds: 30, mostSeconds: 120 * 24 * 3600 } as const;

/** How long a queued start (`flex-start`) waits its turn, seconds; the timer of the machine begins after that. The most that Google takes. */
export const queueSeconds = 2 * 3600;
/** Of a queued start, seconds. */
const queuedRun = { least: 600, most: 7 * 24 * 3600 } as const;

/** @throws GpuRunError `bad-input` for a deadline or disk that Google does not take */
export function instanceBody(parts: BodyParts): InstanceBody {
  const { plan, options, machine, publicIp, metadata } = parts;
  const zone = zoneOf(plan.offer);
  return {
    name: plan.id,
    machineType: `zones/${zone}/machineTypes/${machine.type}`,
    labels: { ...markLabel, ...plan.labels },
    disks: disksOf(parts, zone),
    networkInterfaces: [
      {
        ...networkOf(options, zone),
        nicType: 'GVNIC',
        ...(publicIp ? { accessConfigs: [{ type: 'ONE_TO_ONE_NAT', name: 'External NAT', networkTier: 'PREMIUM' }] } : {}),
      },
    ],
    ...acceleratorsOf(machine, zone),
    scheduling: schedulingOf(parts),
    ...reservationOf(options),
    ...(isQueued(plan.offer, options) ? { params: { requestValidForDuration: { seconds: String(queueSeconds) } } } : {}),
    tags: { items: [networkTag] },
    metadata: { items: [...metadata] },
    serviceAccounts: options.serviceAccount === null ? [] : [{ email: options.serviceAccount, scopes: ['https://www.googleapis.com/auth/cloud-platform'] }],
    shieldedInstanceConfig: { enableVtpm: true, enableIntegrityMonitoring: true },
  };
}

export function zoneOf(offer: Offer): string {
  if (offer.zone !== null) return offer.zone;
  throw new GpuRunError('internal', 'an offer of Compute Engine without a zone was taken');
}

/** Of the boot disk, where nobody says: the images with the driver take half of it. */
export function diskGbFor({ diskGb, gpu }: ResourceNeed): number {
  return diskGb === undefined ? (gpu === undefined ? 30 : 100) : Math.ceil(diskGb);
}

/** Google makes it when its turn comes. */
export function isQueued({ spot }: Pick<Offer, 'spot'>, { provisioning }: GcpOptions): boolean {
  return !spot && provisioning === 'flex-start';
}

/** Seconds from `now` that the machine may run. */
export function runSeconds(deadline: number, now: number): number {
  const seconds = Math.max(timer.leastSeconds, Math.floor((deadline - now) / 1000));
  if (seconds <= timer.mostSeconds) return seconds;
  throw new GpuRunError('bad-input', 'Google ends a machine after 120 days at the latest, and this one should run longer.', {
    hints: ['Give a --max-time of 120d at most.'],
  });
}

function schedulingOf({ plan, options, machine, now }: BodyParts): Record<string, unknown> {
  const provisioning = plan.offer.spot ? 'spot' : (options.provisioning ?? 'standard');
  const models = { standard: 'STANDARD', spot: 'SPOT', 'flex-start': 'FLEX_START', reservation: 'RESERVATION_BOUND' } as const;
  // Google refuses RESERVATION_BOUND with the kinds of reservation that are simply named; those are bought as STANDARD.
  const model = models[provisioning] === 'RESERVATION_BOUND' ? 'STANDARD' : models[provisioning];
  const seconds = runSeconds(plan.deadline, now);
  if (isQueued(plan.offer, options) && (seconds < queuedRun.least || seconds > queuedRun.most)) {
    throw new GpuRunError('bad-input', 'A machine from the queue (gcp.provisioning: flex-start) runs for 10 minutes to 7 days.', {
      hints: ['Give a --max-time between 10m and 7d.'],
    });
  }
  return {
    provisioningModel: model,
    instanceTerminationAction: 'DELETE',
    maxRunDuration: { seconds: String(seconds) },
    // A machine with GPUs can't be moved while it runs.
    onHostMaintenance: machine.gpu === null && model === 'STANDARD' ? 'MIGRATE' : 'TERMINATE',
    automaticRestart: false,
  };
}

/** Where the GPUs are not part of the type; elsewhere the API refuses them. */
function acceleratorsOf({ guestAccelerators, acceleratorType, gpu }: GceMachine, zone: string): Record<string, unknown> {
  if (!guestAccelerators || gpu === null) return {};
  return { guestAccelerators: [{ acceleratorType: `zones/${zone}/acceleratorTypes/${acceleratorType}`, acceleratorCount: gpu.count }] };
}

function reservationOf({ provisioning, reservation }: GcpOptions): Record<string, unknown> {
  if (provisioning !== 'reservation' || reservation === null) return {};
  return {
    reservationAffinity: { consumeReservationType: 'SPECIFIC_RESERVATION', key: 'compute.googleapis.com/reservation-name', values: [reservation] },
  };
}

function disksOf({ plan, options, machine, image }: BodyParts, zone: string): Record<string, unknown>[] {
  const least = Number(image.diskSizeGb ?? '10');
  const asked = plan.need.diskGb === undefined ? null : Math.ceil(plan.need.diskGb);
  if (asked !== null && asked < least) {
    throw new GpuRunError('bad-input', `A disk of ${asked} GB is too small: the image ${image.name} needs ${least} GB.`, { hints: [`disk: ${least}GB`] });
  }
  const boot = {
    boot: true,
    autoDelete: true,
    initializeParams: {
      sourceImage: image.selfLink,
      diskSizeGb: String(asked ?? Math.max(least, diskGbFor(plan.need))),
      diskType: `zones/${zone}/diskTypes/${options.diskType ?? machine.bootDisk}`,
      labels: { ...markLabel, ...plan.labels },
    },
  };
  return [boot];
}

/** Short names are those of the project's own; a subnetwork says its network by itself. */
function networkOf({ network, subnetwork }: GcpOptions, zone: string): Record<string, unknown> {
  const own = subnetwork === null || subnetwork.includes('/') ? subnetwork : `regions/${regionOf(zone)}/subnetworks/${subnetwork}`;
  const net = network === null || network.includes('/') ? network : `global/networks/${network}`;
  if (own !== null) return { subnetwork: own, ...(net === null ? {} : { network: net }) };
  return { network: net ?? 'global/networks/default' };
}
