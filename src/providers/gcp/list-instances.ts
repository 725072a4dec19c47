/** All that carries an owner's label in a project: machines, and what machines have left behind. */
import { GpuRunError } from '../../core/errors.ts';
import { type Labels, labelKeys, type MachineRef } from '../../core/machine.ts';
import { isRuleOf, ruleName, rulePrefix } from './access/rule-name.ts';
import { foundInstance } from './appraise.ts';
import type { GceApi } from './gce-api.ts';
import { GceError } from './gce-error.ts';
import type { Disk, Firewall, Instance } from './gce-resources.ts';
import type { Account } from './gcp-account.ts';
import { networkTag } from './instance-body.ts';
import { lastOf, timeOf } from './instance-ref.ts';

/**
 * Machines first. A disk that some machine has is that machine's; firewall rules carry no labels, and are known by their names, which
 * are made from the owner, the network and the state folder. They are listed when no machine of that state folder is there.
 * @throws GpuRunError `connection`, after all that was found, when zones did not answer: machines there may bill
 */
export async function* listMachines(api: GceApi, account: Account, owner: string, signal?: AbortSignal): AsyncIterable<MachineRef> {
  const filter = `labels.${labelKeys.owner}=${owner}`;
  const [instances, disks] = await Promise.all([api.listInstances(filter, signal), api.listDisks(filter, signal)]);
  const ours = instances.items.filter(({ labels }) => labels?.[labelKeys.owner] === owner);
  for (const instance of ours) yield refOfInstance(instance, api.project, account);
  for (const disk of disks.items) if (isLeft(disk, owner, ours)) yield refOfDisk(disk, api.project, account);
  const unreachable = [...new Set([...instances.unreachable, ...disks.unreachable])];
  if (unreachable.length === 0) for (const rule of await rulesOf(api, owner, ours, signal)) yield refOfRule(rule, owner, api.project, account);
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
  const labels = { ...oursOf(instance.labels), ...afterQueue(instance) };
  const id = labels[labelKeys.machine] ?? instance.name;
  const publicIp = (instance.networkInterfaces?.[0]?.accessConfigs ?? []).length > 0;
  const network = instance.networkInterfaces?.[0]?.network;
  const where = { project, zone: lastOf(instance.zone), instanceId: instance.id, network: network === undefined ? null : lastOf(network) };
  const data = { ...where, credentialsFile, publicIp, found: foundInstance(instance) };
  return { provider: 'gcp', id: instance.name, name: labels[labelKeys.name] ?? id, labels, createdAt: timeOf(instance.creationTimestamp), data };
}

/** A start from the queue has its whole time after it has waited: Google's timer says until when, the label was written before. */
function afterQueue({ scheduling, resourceStatus }: Instance): Labels {
  const ends = timeOf(resourceStatus?.scheduling?.terminationTimestamp);
  return scheduling?.provisioningModel === 'FLEX_START' && ends !== null ? { [labelKeys.expires]: String(Math.floor(ends / 1000)) } : {};
}

/** Without the mark that is the same on all, and what people add. */
function oursOf(labels: Labels = {}): Labels {
  return Object.fromEntries(Object.values(labelKeys).flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]]])));
}

/** Nobody has it, and the machine that it was made for is not there. */
function isLeft({ name, labels, users = [] }: Disk, owner: string, instances: readonly Instance[]): boolean {
  if (labels?.[labelKeys.owner] !== owner || users.length > 0) return false;
  const machine = labels[labelKeys.machine] ?? name;
  return !instances.some((instance) => instance.name === machine);
}

function refOfDisk(disk: Disk, project: string, { credentialsFile }: Account): MachineRef {
  const labels = oursOf(disk.labels);
  const id = labels[labelKeys.machine] ?? disk.name;
  const data = { project, zone: lastOf(disk.zone ?? ''), disk: disk.name, credentialsFile };
  const createdAt = timeOf(disk.creationTimestamp);
  return { provider: 'gcp', id, name: labels[labelKeys.name] ?? disk.name, labels, createdAt, leftover: `its disk ${disk.name}`, data };
}

/** What can't be asked for want of a permission is not worth a failed list: a rule costs nothing. */
async function rulesOf(api: GceApi, owner: string, machines: readonly Instance[], signal: AbortSignal | undefined): Promise<readonly Firewall[]> {
  const homes = machines.map(({ labels }) => labels?.[labelKeys.home] ?? null);
  try {
    const rules = await api.listFirewalls(`name=${rulePrefix}*`, signal);
    return rules.filter(({ name, network = null, targetTags = [] }) => {
      const isNeeded = homes.some((home) => ruleName({ owner, home }, network) === name);
      return isRuleOf(name, owner, network) && targetTags.includes(networkTag) && !isNeeded;
    });
  } catch (error) {
    if (error instanceof GceError) return [];
    throw error;
  }
}

function refOfRule({ name, network }: Firewall, owner: string, project: string, { credentialsFile }: Account): MachineRef {
  // A rule is in no zone; a ref has one.
  const data = { project, zone: 'global', rule: name, network: network === undefined ? null : lastOf(network), credentialsFile };
  return { provider: 'gcp', id: name, name, labels: { [labelKeys.owner]: owner }, createdAt: null, leftover: `the firewall rule ${name}`, data };
}
