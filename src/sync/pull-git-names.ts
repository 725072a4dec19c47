/** Names under which git would look for a repository: a machine that could place one would have its hooks and settings run here. Imports nothing. */

/** Code points that HFS+ leaves out when it compares names, as git's own list has them. */
const ignoredOnMacs = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/gu;

/** The path up to its first part that some file system takes for `.git`; null: it has none. What git refuses in a commit, and for the same reasons. */
export function gitFolderIn(path: string): string | null {
  const parts = path.split('/');
  const at = parts.findIndex((part) => part.split('\\').some(isGitName));
  return at === -1 ? null : parts.slice(0, at + 1).join('/');
}

function isGitName(name: string): boolean {
  // NTFS: the short name, dots and spaces at the end, a stream after a colon.
  return /^(\.git|git~1)[. ]*(:.*)?$/su.test(name.replace(ignoredOnMacs, '').toLowerCase());
}
