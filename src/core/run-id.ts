/** Names and ids. Short enough to type, safe as a file name, host name and cloud resource name. */
import { randomInt } from 'node:crypto';
import { GpuRunError } from './errors.ts';

// No vowels (no accidental words), no 0/1/l (misread).
const alphabet = '23456789bcdfghjkmnpqrstvwxz';

export function randomSuffix(length = 6): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

const jobIdPattern = new RegExp(`^job-\\d{8}-[${alphabet}]{6}$`);
const namePattern = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/;

/** Machine names obey the strictest provider's rule: 1-40 of a-z, 0-9 and `-`, a letter first, no `-` last. */
export function checkMachineName(name: string): string {
  if (namePattern.test(name)) return name;
  throw new GpuRunError('bad-input', `'${name}' can't be a machine's name: it takes 1 to 40 of a-z, 0-9 and -, starting with a letter, not ending with -.`, {
    hints: [`Try '${toMachineName(name)}'.`],
  });
}

/** The nearest allowed name, for a folder's name. */
export function toMachineName(text: string): string {
  const cleaned = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 40)
    .replace(/-+$/, '');
  return cleaned === '' ? 'machine' : cleaned;
}

/** `cats-k3v9xq`: the machine's own id and its name at the provider. */
export function newMachineId(name: string): string {
  return `${name}-${randomSuffix()}`;
}

/** `job-20261121-k3v9xq`: sorts by day, unique by its end. */
export function newJobId(now: number): string {
  return `job-${new Date(now).toISOString().slice(0, 10).replaceAll('-', '')}-${randomSuffix()}`;
}

/** Whether something may be called so because of a job: a folder of checkpoints that is one job's own. */
export function isJobId(name: string): boolean {
  return jobIdPattern.test(name);
}
