/** The branch that a run belongs to, for `cost --by branch`. No process is started for it. */
import { gitFolders, readHead } from './git-head.ts';

/** null outside a repository and on a detached head. CI systems check out a detached head and give the name by environment. */
export function gitBranch(folder: string, env: Readonly<Record<string, string | undefined>>): string | null {
  const fromCi = env['GITHUB_HEAD_REF'] || env['GITHUB_REF_NAME'] || env['CI_COMMIT_REF_NAME'];
  if (fromCi) return fromCi;
  const folders = gitFolders(folder);
  return folders === null ? null : (/^ref: refs\/heads\/(.+)$/m.exec(readHead(folders) ?? '')?.[1] ?? null);
}
