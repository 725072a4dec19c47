/**
 * Who owns what we make, and from which state folder: labels that machines carry, so that they are found again without the ledger.
 * Both come out the same when the state folder has been deleted and made anew.
 */
import { createHash } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { GpuRunError } from '../core/errors.ts';

/** Names the owner on computers that shall see the same machines. */
export const ownerVariable = 'GPU_RUN_OWNER';

/** Safe as a label value, and in a filter of a list call, at every provider. */
const ownerPattern = /^[a-z0-9_-]{1,63}$/;

export interface OwnerParts {
  readonly homeRoot: string;
  /** Name of the account on this computer. */
  readonly user: string;
  readonly computer: string;
  /** Of `GPU_RUN_OWNER`; empty: none. */
  readonly chosen: string;
}

/**
 * The chosen one; else the one that the state folder has; else `<user>-<six characters>`, which says who on which computer.
 * @throws GpuRunError `bad-input` for what can't be a label
 */
export function readOwner({ homeRoot, user, computer, chosen }: OwnerParts): string {
  if (chosen !== '') return checkOwner(chosen, ownerVariable);
  const file = join(homeRoot, 'owner');
  if (!existsSync(file)) writeOwner(homeRoot, file, `${labelOf(user, 30)}-${digest(user, computer)}`);
  return checkOwner(readFileSync(file, 'utf8').trim(), file);
}

/** `<computer>-<six characters>`: another folder, and the same folder on another computer, has another one. */
export function homeLabel(homeRoot: string, computer: string): string {
  const [host = ''] = computer.split('\n');
  return `${labelOf(host, 30)}-${digest(resolve(homeRoot), computer)}`;
}

/** Its name, and what its system knows it by: of computers that were copied from one image the name alone differs. */
export function computerName(): string {
  const files = ['/etc/machine-id', '/var/lib/dbus/machine-id'];
  const id = files.map((file) => (existsSync(file) ? readFileSync(file, 'utf8').trim() : '')).find((text) => text !== '');
  return `${hostname()}\n${id ?? ''}`;
}

function checkOwner(owner: string, from: string): string {
  if (ownerPattern.test(owner)) return owner;
  throw new GpuRunError('bad-input', `${from} names an owner that can't be a label: '${owner.slice(0, 60)}'.`, {
    hints: ['It takes 1 to 63 of a-z, 0-9, - and _.'],
  });
}

/** Kept from then on: that the computer is renamed changes nothing. Of two first commands at once, one wins and both read its value. */
function writeOwner(homeRoot: string, file: string, owner: string): void {
  const hidden = `${file}.${process.pid}.tmp`;
  mkdirSync(homeRoot, { recursive: true, mode: 0o700 });
  writeFileSync(hidden, owner, { mode: 0o600 });
  try {
    linkSync(hidden, file);
  } catch (error) {
    if (!existsSync(file)) throw error;
  } finally {
    rmSync(hidden, { force: true });
  }
}

/** The nearest that a label takes. */
function labelOf(text: string, length: number): string {
  const clean = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, length)
    .replace(/-+$/, '');
  return clean === '' ? 'x' : clean;
}

function digest(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 6);
}
