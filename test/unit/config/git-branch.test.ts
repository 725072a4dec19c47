import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { gitBranch } from '../../../src/config/git-branch.ts';
import { gitCommit } from '../../../src/config/git-commit.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-branch-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const git = (...argv: string[]) => execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.invalid', ...argv], { stdio: 'pipe' });

test('branch of a repository, from below, in a worktree, on a detached head', () => {
  expect(gitBranch(folder, {})).toBeNull();
  git('init', '-q', '-b', 'feature/new');
  mkdirSync(join(folder, 'deep', 'er'), { recursive: true });
  expect(gitBranch(join(folder, 'deep', 'er'), {})).toBe('feature/new');
  git('commit', '-q', '--allow-empty', '-m', 'x');
  git('worktree', 'add', '-q', '-b', 'second', join(folder, 'tree'));
  expect(gitBranch(join(folder, 'tree'), {})).toBe('second');
  git('checkout', '-q', '--detach');
  expect(gitBranch(folder, {})).toBeNull();
  expect(gitBranch(folder, { GITHUB_HEAD_REF: '', GITHUB_REF_NAME: 'main' })).toBe('main');
});

test('commit: none yet, on a branch, packed, in a worktree, on a detached head, in CI', () => {
  const at = (where = folder) => execFileSync('git', ['-C', where, 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
  expect(gitCommit(folder, {})).toBeNull();
  git('init', '-q', '-b', 'feature/new');
  expect(gitCommit(folder, {})).toBeNull();
  git('commit', '-q', '--allow-empty', '-m', 'x');
  expect(gitCommit(folder, { GITHUB_SHA: 'f'.repeat(40) })).toBe(at());
  git('worktree', 'add', '-q', '-b', 'second', join(folder, 'tree'));
  execFileSync('git', ['-C', join(folder, 'tree'), '-c', 'user.name=t', '-c', 'user.email=t@example.invalid', 'commit', '-q', '--allow-empty', '-m', 'y']);
  expect(gitCommit(join(folder, 'tree'), {})).toBe(at(join(folder, 'tree')));
  expect(at()).not.toBe(at(join(folder, 'tree')));
  git('pack-refs', '--all');
  expect(gitCommit(folder, {})).toBe(at());
  expect(gitCommit(join(folder, 'tree'), {})).toBe(at(join(folder, 'tree')));
  git('checkout', '-q', '--detach');
  expect(gitCommit(folder, {})).toBe(at());
  expect(gitCommit(tmpdir(), { GITHUB_SHA: 'not a hash', CI_COMMIT_SHA: '' })).toBeNull();
  expect(gitCommit(tmpdir(), { CI_COMMIT_SHA: 'a'.repeat(40) })).toBe('a'.repeat(40));
});
