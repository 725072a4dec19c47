import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findRepository, hasTracked } from '../../../src/sync/git.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-git-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** A repository whose own config runs a command at the next look at its index. */
function plantedRepository(at: string): string {
  const marker = join(folder, 'it-ran');
  mkdirSync(at, { recursive: true });
  execFileSync('git', ['init', '-q', at]);
  writeFileSync(join(at, 'run.sh'), `#!/bin/sh\ntouch ${marker}\n`, { mode: 0o755 });
  execFileSync('git', ['-C', at, 'config', 'core.fsmonitor', join(at, 'run.sh')]);
  return marker;
}

test('nothing that a repository names in its config is run', () => {
  const marker = plantedRepository(join(folder, 'pulled'));
  expect(findRepository(join(folder, 'pulled'))?.problem).toBeNull();
  hasTracked(join(folder, 'pulled'), 'x');
  expect(existsSync(marker)).toBe(false);
});

test('an empty .git does not stand for the repository above', () => {
  execFileSync('git', ['init', '-q', folder]);
  mkdirSync(join(folder, 'sub', '.git'), { recursive: true });
  expect(findRepository(join(folder, 'sub'))?.problem).toContain('not a git repository');
});

test("variables of a surrounding git hook don't lead to another index", () => {
  execFileSync('git', ['init', '-q', folder]);
  writeFileSync(join(folder, '.gitignore'), '*.log\n');
  writeFileSync(join(folder, 'kept.log'), 'x');
  execFileSync('git', ['-C', folder, 'add', '-f', 'kept.log']);
  vi.stubEnv('GIT_INDEX_FILE', join(folder, 'nowhere'));
  vi.stubEnv('GIT_DIR', join(folder, 'nowhere'));
  expect(findRepository(folder)).toMatchObject({ trackedIgnored: ['kept.log'], problem: null });
});

test('an output is a path, not a pattern', () => {
  execFileSync('git', ['init', '-q', folder]);
  writeFileSync(join(folder, 'runs1'), 'x');
  execFileSync('git', ['-C', folder, 'add', 'runs1']);
  expect(hasTracked(folder, 'runs*')).toBe(false);
});

describe.runIf(process.getuid?.() === 0)('as root, who may give files away', () => {
  test("a stranger's repository is refused, as git refuses it", () => {
    plantedRepository(join(folder, 'theirs'));
    chownSync(join(folder, 'theirs'), 65_534, 65_534);
    chownSync(join(folder, 'theirs', '.git'), 65_534, 65_534);
    vi.stubEnv('HOME', folder); // no safe.directory of ours
    expect(findRepository(join(folder, 'theirs'))?.problem).toContain('dubious ownership');
  });
});
