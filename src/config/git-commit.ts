/** The commit that a run belongs to, for `cost --by commit`. What was changed since is not told. */
import { join } from 'node:path';
import { type GitFolders, gitFolders, readHead, readText } from './git-head.ts';

const wholeHash = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** In full; null outside a repository, before the first commit, and where branches are kept in a way that is not known here. */
export function gitCommit(folder: string, env: Readonly<Record<string, string | undefined>>): string | null {
  const folders = gitFolders(folder);
  const fromCi = env['GITHUB_SHA'] || env['CI_COMMIT_SHA'] || '';
  return hashOrNull(folders === null ? null : atHead(folders)) ?? hashOrNull(fromCi);
}

function atHead(folders: GitFolders): string | null {
  const head = readHead(folders)?.trim() ?? '';
  const name = /^ref: (refs\/\S+)$/.exec(head)?.[1];
  if (name === undefined) return head;
  if (name.split('/').includes('..')) return null;
  return readText(join(folders.refs, name)) ?? packed(folders.refs, name);
}

/** `git gc` moves branches into one file: a line each. */
function packed(refs: string, name: string): string | null {
  const lines = (readText(join(refs, 'packed-refs')) ?? '').split('\n');
  return lines.find((line) => line.trimEnd().endsWith(` ${name}`))?.split(' ')[0] ?? null;
}

function hashOrNull(text: string | null): string | null {
  const hash = text?.trim() ?? '';
  return wholeHash.test(hash) ? hash : null;
}
