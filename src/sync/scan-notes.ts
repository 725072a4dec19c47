/** What a walk has to say of names and links. May import `node:`. */
import { posix } from 'node:path';

/** By its text alone; what lies behind it doesn't matter. */
export function noteLink(path: string, target: string, { leavingLinks }: { readonly leavingLinks: string[] }): void {
  if (posix.isAbsolute(target) || posix.join(posix.dirname(path), target).split('/')[0] === '..') leavingLinks.push(`${path} -> ${target}`);
}

export function leavingLinksWarning(links: readonly string[]): string {
  const many = links.length === 1 ? '1 link leads' : `${links.length} links lead`;
  return `${many} out of the synced folder and may lead nowhere on the machine: ${links.slice(0, 3).join(', ')}${links.length > 3 ? ', ...' : ''}`;
}

/** Letters with accents can be written in several ways. */
export function isAccented(name: string): boolean {
  return /[^ -~]/.test(name);
}

/** Names that are spelled differently and look the same as one before them: some file systems take them for one. */
export function twinsAmong(names: readonly string[]): string[] {
  const seen = new Set<string>();
  return names.filter((name) => {
    const key = name.normalize('NFC');
    const isTwin = seen.has(key);
    seen.add(key);
    return isTwin;
  });
}

export function twinWarning(path: string): string {
  return `${path} is there twice, with its accents written in two ways (Unicode NFC and NFD): both are synced, and not every computer can hold both`;
}
