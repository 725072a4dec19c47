/** Disks that stay when their machine goes, because somebody has switched off that they go with it: they bill until they are deleted. */
import { randomUUID } from 'node:crypto';
import { labelKeys } from '../../core/machine.ts';
import type { GceApi } from './gce-api.ts';
import { GceError } from './gce-error.ts';
import type { Disk, Instance, Operation } from './gce-resources.ts';
import { deleteCommand, type InstanceRef, lastOf } from './instance-ref.ts';

/** For the machine to go, which frees its disk, and for the disk to go after it, milliseconds each. */
const waitMs = 3 * 60_000;

/** Names of boot disks that stay. Disks that people have attached are theirs. */
export function keptDisks({ disks = [] }: Instance): readonly string[] {
  return disks.flatMap(({ boot, autoDelete, source }) => (boot === true && autoDelete !== true && source !== undefined ? [lastOf(source)] : []));
}

/** Once its machine's `deletion` is done. Returns what is left, with the command for it. @throws the signal's reason */
export async function deleteKeptDisks(api: GceApi, ref: InstanceRef, kept: readonly string[], deletion: Operation, signal?: AbortSignal): Promise<string[]> {
  try {
    await waitedFor(api, deletion, signal);
    return await deleteDisksOf(api, ref, signal);
  } catch (error) {
    signal?.throwIfAborted();
    return kept.map((disk) => leftover(ref, disk, error));
  }
}

/** Of a machine that is gone: those that carry its labels, and that nobody else has. @throws GceError they could not be listed */
export async function deleteDisksOf(api: GceApi, ref: InstanceRef, signal?: AbortSignal): Promise<string[]> {
  const { items } = await api.listDisks(`labels.${labelKeys.machine}=${ref.name}`, signal);
  const left: string[] = [];
  for (const { name } of items.filter((disk) => isOf(disk, ref))) {
    try {
      const deletion = await orderDeletion(api, ref.zone, name, signal);
      if (deletion !== null) throwFailure(await waitedFor(api, deletion, signal));
    } catch (error) {
      signal?.throwIfAborted();
      left.push(leftover(ref, name, error));
    }
  }
  return left;
}

/** null: there is no such disk. @throws GceError it was not taken, or came to nothing at once */
export async function orderDeletion(api: GceApi, zone: string, disk: string, signal?: AbortSignal): Promise<Operation | null> {
  const deletion = await api.deleteDisk(zone, disk, randomUUID(), signal);
  if (deletion !== null) throwFailure(deletion);
  return deletion;
}

function throwFailure({ error, operationType }: Operation): void {
  const [first] = error?.errors ?? [];
  if (first !== undefined) throw new GceError(first.message, { status: 400, reasons: [first.code], details: [], call: operationType });
}

function isOf({ labels, zone = '', users = [] }: Disk, ref: InstanceRef): boolean {
  const isOurs = labels?.[labelKeys.owner] === ref.owner && labels[labelKeys.machine] === ref.name;
  return isOurs && lastOf(zone) === ref.zone && users.every((user) => lastOf(user) === ref.name);
}

async function waitedFor(api: GceApi, operation: Operation, signal: AbortSignal | undefined): Promise<Operation> {
  const late = AbortSignal.timeout(waitMs);
  return await api.waitOperation(operation, signal === undefined ? late : AbortSignal.any([signal, late]));
}

function leftover(ref: InstanceRef, disk: string, error: unknown): string {
  return `its disk ${disk} is not gone, and bills on (${(error as Error).message}): ${deleteCommand({ ...ref, rule: null, disk })}`;
}
