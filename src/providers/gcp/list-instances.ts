/** All that carries an owner's label in a project: machines, and disks that machines have left behind. */
import { GpuRunError } from '../../core/errors.ts';
import { type Labels, labelKeys, type MachineRef } from '../../core/machine.ts';
import type { GceApi } from './gce-api.ts';
import type { Disk, Instance } from './gce-resources.ts';
import type { Account } from './gcp-account.ts';
import { lastOf } from './instance-ref.ts';

/** @throws GpuRunError `connection`, after all that was found, when zones did not answer: machines there may bill */
export async function* listMachines(api: GceApi, account: Account, owner: string, signal?: AbortSignal): AsyncIterable<MachineRef> {
  const filter = `labels.${labelKeys.owner}=${owner}`;
  const [instances, disks] = await Promise.all([api.listInstances(filter, signal), api.listDisks(filter, signal)]);
  for (const instance of instances.items) if (instance.labels?.[labelKeys.owner] === owner) yield refOfInstance(instance, api.project, account);
  for (const disk of disks.items) if (disk.labels?.[labelKeys.owner] === owner && (disk.users ?? []).length === 0) yield refOfDisk(disk, api.project, account);
  const unreachable = [...new Set([...instances.unreachable, ...disks.unreachable])];
  if (unreachable.length === 0) return;
  throw new GpuRunError(
    'connection',
    `Google did not answer for ${unreachable.map(lastOf).join(', ')} of the project ${api.project}: machines there may be billing.`,
    {
      retry: 'same',
      hints: ['Try again in a few minutes.', `gcloud compute instances list --project=${api.project} --filter=labels.gpu-run=1   shows what is there`],
    },
  );
}

export function refOfInstance(instance: Instance, project: string, { credentialsFile }: Account): MachineRef {
  const labels = oursOf(instance.labels);
  const id = labels[labelKeys.machine] ?? instance.name;
  const publicIp = (instance.networkInterfaces?.[0]?.accessConfigs ?? []).length > 0;
  const network = instance.networkInterfaces?.[0]?.network;
  const where = { project, zone: lastOf(instance.zone), instanceId: instance.id, network: network === undefined ? null : lastOf(network) };
  const data = { ...where, credentialsFile, publicIp };
  return { provider: 'gcp', id: instance.name, name: labels[labelKeys.name] ?? id, labels, createdAt: Date.parse(instance.creationTimestamp), data };
}

/** Without the mark that is the same on all, and what people add. */
function oursOf(labels: Labels = {}): Labels {
  return Object.fromEntries(Object.values(labelKeys).flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]]])));
}

function refOfDisk(disk: Disk, project: string, { credentialsFile }: Account): MachineRef {
  const labels = oursOf(disk.labels);
  const data = { project, zone: lastOf(disk.zone ?? ''), disk: disk.name, credentialsFile };
  return { provider: 'gcp', id: labels[labelKeys.machine] ?? disk.name, name: labels[labelKeys.name] ?? disk.name, labels, createdAt: null, data };
}
