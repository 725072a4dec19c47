/**
 * Answers of the API as the types of `gce-resources.ts`: what those call certain is checked, so that nobody reads what is not there. Other
 * fields are left as they came.
 */
import { GceError } from '../gce-error.ts';
import type { AcceleratorType, Disk, Firewall, Image, Instance, MachineType, Operation, Project, Region } from '../gce-resources.ts';
import { lastPart } from './listing.ts';
import type { Json } from './seam.ts';

export function asInstance(answer: Json): Instance {
  return certain<Instance>('instance', answer, ['id', 'name', 'zone', 'status', 'machineType']);
}

export function asOperation(answer: Json): Operation {
  const operation = certain<Operation>('operation', answer, ['name', 'status']);
  const errors = (operation.error as { readonly errors?: unknown } | undefined)?.errors;
  const error = operation.error === undefined ? {} : { error: { errors: Array.isArray(errors) ? errors : [] } };
  return { ...operation, ...error };
}

export function asImage(answer: Json): Image {
  return certain<Image>('image', answer, ['name', 'selfLink']);
}

export function asFirewall(answer: Json): Firewall {
  return certain<Firewall>('firewall rule', answer, ['name']);
}

export function asDisk(answer: Json): Disk {
  return certain<Disk>('disk', answer, ['name']);
}

export function asProject(answer: Json): Project {
  return { ...certain<Project>('project', answer, ['name']), quotas: quotasOf(answer) };
}

export function asRegion(answer: Json): Region {
  const zones = Array.isArray(answer['zones']) ? answer['zones'].filter((zone) => typeof zone === 'string') : [];
  return { ...certain<Region>('region', answer, ['name']), quotas: quotasOf(answer), zones };
}

/** The API writes some zones as names, some as URLs. */
export function asMachineType(answer: Json): MachineType {
  const type = certain<MachineType>('machine type', answer, ['name', 'zone']);
  return { ...type, zone: lastPart(type.zone), guestCpus: numberOf(type.guestCpus), memoryMb: numberOf(type.memoryMb) };
}

export function asAcceleratorType(answer: Json): AcceleratorType {
  const type = certain<AcceleratorType>('accelerator type', answer, ['name', 'zone']);
  return { ...type, zone: lastPart(type.zone) };
}

/** @throws GceError without a status: what the call has done is not known */
function certain<T>(what: string, answer: Json, keys: readonly (keyof T & string)[]): T {
  const missing = keys.filter((key) => typeof answer[key] !== 'string' || answer[key] === '');
  if (missing.length === 0) return answer as T;
  throw new GceError(`Compute Engine sent an ${what} without ${missing.join(', ')}`.replace(/an (?=[^aeiou])/, 'a '), {
    status: null,
    reasons: [],
    details: [],
    call: `read ${what}`,
  });
}

function quotasOf({ quotas }: Json): Region['quotas'] {
  if (!Array.isArray(quotas)) return [];
  return quotas.filter((quota) => typeof quota?.metric === 'string' && typeof quota.limit === 'number' && typeof quota.usage === 'number');
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
