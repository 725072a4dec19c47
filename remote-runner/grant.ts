/**
 * What a job was given of the machine when its turn came. Written before anything of the job is started: a serving process that
 * is killed and started again gives nothing twice, and forgets nobody.
 */
import type { GpuFacts } from '../src/protocol/calls.ts';
import { isCount, isFields, isListOf, isNullOr, isText } from '../src/protocol/shape.ts';
import { writeWithBallast } from './ballast.ts';
import { readChecked, writeDurably } from './durable.ts';
import type { JobFolder, MachineFolder } from './machine-folder.ts';

export type GrantedGpu = Pick<GpuFacts, 'index' | 'uuid' | 'name'>;

export interface Grant {
  /** null: the machine to itself. */
  readonly gpus: readonly GrantedGpu[] | null;
  /** Hash of the setup that it runs first; null: it has none, or the machine is set up for it. */
  readonly setup: string | null;
}

/** Programs that use CUDA see these GPUs alone, and count them from 0. */
export const visibleDevices = 'CUDA_VISIBLE_DEVICES';

export function writeGrant(machine: MachineFolder, job: JobFolder, grant: Grant): void {
  writeWithBallast(machine, () => writeDurably(job.grant, JSON.stringify(grant)));
}

/** null: its turn has not come, or an older runner has started it. A job that has damaged it counts as having the machine to itself. */
export function readGrant(job: JobFolder): Grant | null {
  const grant = readChecked<Grant>(job.grant, isGrant);
  return grant === 'damaged' ? { gpus: null, setup: null } : grant;
}

function isGrant(value: unknown): boolean {
  const isGpu = (gpu: unknown) => isFields(gpu) && isCount(gpu['index']) && isText(gpu['uuid']) && isText(gpu['name']);
  return isFields(value) && isNullOr((gpus) => isListOf(isGpu, gpus), value['gpus']) && isNullOr(isText, value['setup']);
}

/** The GPUs that a job may use; null: all that the machine has. */
export function gpusOf(job: JobFolder): readonly GrantedGpu[] | null {
  return readGrant(job)?.gpus ?? null;
}

/** UUIDs: numbers would mean different GPUs to the driver's tool and to CUDA, which counts the fastest first. */
export function visibilityOf(job: JobFolder): Readonly<Record<string, string>> {
  const gpus = gpusOf(job);
  return gpus === null ? {} : { [visibleDevices]: gpus.map(({ uuid }) => uuid).join(',') };
}

/** What whoever follows the job should know of its GPUs. null: it has the machine to itself. */
export function describeGrant({ gpus }: Grant, env: Readonly<Record<string, string>>): { readonly level: 'info' | 'warn'; readonly text: string } | null {
  if (gpus === null) return null;
  const which = `GPU ${gpus.map(({ index }) => index).join(', ')} (${[...new Set(gpus.map(({ name }) => name))].join(', ')})`;
  const own = env[visibleDevices];
  if (own === undefined) return { level: 'info', text: `The job has ${which}.` };
  return {
    level: 'warn',
    text: `The job's own env sets ${visibleDevices}=${own}: it is left as it is. ${which} ${gpus.length === 1 ? 'is' : 'are'} kept for the job, whether it uses ${gpus.length === 1 ? 'it' : 'them'} or others.`,
  };
}
