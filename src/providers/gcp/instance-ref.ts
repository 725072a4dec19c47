/** What the ledger keeps of a Compute Engine machine: enough to find it again, to reach it and to end it, from this file alone. */
import { GpuRunError } from '../../core/errors.ts';
import { labelKeys, type MachineRef } from '../../core/machine.ts';

export interface InstanceRef {
  /** null: the one that the environment or the credentials name. */
  readonly project: string | null;
  readonly zone: string;
  /** The instance's name: our id of the machine. */
  readonly name: string;
  /** Absolute path of the credentials that it was made with; null: Application Default Credentials. */
  readonly credentialsFile: string | null;
  /** Our label's value. */
  readonly owner: string;
  /** From which state folder it was made, as its label says; null: it has none. */
  readonly home: string | null;
  /** As the config says it; null: `default`. */
  readonly network: string | null;
  /** The public half of its key; null: not known, it was found by its label alone. */
  readonly sshPublicKey: string | null;
  /** Account on the machine. */
  readonly user: string;
  /** false: reached through an IAP tunnel. */
  readonly publicIp: boolean;
  /** Address ranges for SSH instead of the caller's own address. */
  readonly allowFrom: readonly string[];
  /** Numeric, as text: another instance of the same name has another one. null: not known to exist yet. */
  readonly instanceId: string | null;
  /** What it boots from, resolved. */
  readonly image: string | null;
  /** Of a disk that its machine has left behind: there is no instance, the disk is to be deleted. */
  readonly disk: string | null;
  /** Of a firewall rule that no machine needs any more: its name. */
  readonly rule: string | null;
}

/** @throws GpuRunError internal when the ledger holds something else */
export function readInstanceRef(ref: MachineRef): InstanceRef {
  const { data } = ref;
  const text = (key: string): string | null => {
    const value = data[key];
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const project = text('project');
  const zone = text('zone');
  if (zone === null)
    throw new GpuRunError('internal', `The ledger does not say in which zone '${ref.id}' is.`, {
      hints: [`gcloud compute instances list --filter=name=${ref.id}   shows it`, 'gpu-run reap   finds what carries the label of gpu-run'],
    });
  return {
    project,
    zone,
    name: ref.id,
    credentialsFile: text('credentialsFile'),
    owner: ref.labels[labelKeys.owner] ?? '',
    home: ref.labels[labelKeys.home] ?? null,
    network: text('network'),
    sshPublicKey: text('sshPublicKey'),
    user: text('user') ?? 'gpurun',
    publicIp: data['publicIp'] !== false,
    allowFrom: Array.isArray(data['allowFrom']) ? data['allowFrom'].filter((range) => typeof range === 'string') : [],
    instanceId: text('instanceId'),
    image: text('image'),
    disk: text('disk'),
    rule: text('rule'),
  };
}

/** As the API takes them: what has another name was never there. */
export function isInstanceName(name: string): boolean {
  return /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name);
}

/** The exact command that ends it without us. */
export function deleteCommand(ref: Pick<InstanceRef, 'project' | 'zone' | 'name' | 'disk'> & Partial<Pick<InstanceRef, 'rule'>>): string {
  const { project, zone, name, disk, rule = null } = ref;
  if (rule !== null) return `gcloud compute firewall-rules delete ${rule}${project === null ? '' : ` --project=${project}`} --quiet`;
  const what = disk === null ? `instances delete ${name}` : `disks delete ${disk}`;
  return `gcloud compute ${what} --zone=${zone}${project === null ? '' : ` --project=${project}`} --quiet`;
}

/** `https://.../zones/us-central1-a` -> `us-central1-a` */
export function lastOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}

/** `us-central1-a` -> `us-central1` */
export function regionOf(zone: string): string {
  return zone.replace(/-[a-z]+$/, '');
}

/** Milliseconds since the epoch; null: it is not said, or no time. */
export function timeOf(text: string | undefined): number | null {
  const at = Date.parse(text ?? '');
  return Number.isNaN(at) ? null : at;
}
