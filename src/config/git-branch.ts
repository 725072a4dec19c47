/** The branch that a run belongs to, for `cost --by branch`. Reads `.git/HEAD` itself: no process is started for it. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** null outside a repository and on a detached head. CI systems check out a detached head and give the name by environment. */
export function gitBranch(folder: string, env: Readonly<Record<string, string | undefined>>): string | null {
  const fromCi = env['GITHUB_HEAD_REF'] || env['GITHUB_REF_NAME'] || env['CI_COMMIT_REF_NAME'];
  if (fromCi) return fromCi;
  for (let at = resolve(folder); ; at = dirname(at)) {
    const head = readHead(join(at, '.git'));
    if (head !== null) return /^ref: refs\/heads\/(.+)$/m.exec(head)?.[1] ?? null;
    if (dirname(at) === at) return null;
  }
}

function readHead(dotGit: string): string | null {
  try {
    if (statSync(dotGit).isDirectory()) return readFileSync(join(dotGit, 'HEAD'), 'utf8');
    const linked = /^gitdir: (.+)$/m.exec(readFileSync(dotGit, 'utf8'))?.[1]; // a worktree or submodule
    return linked === undefined ? null : readFileSync(join(resolve(dirname(dotGit), linked), 'HEAD'), 'utf8');
  } catch {
    return null;
  }
}
