/** The runner's one file, built once for a test file. For vitest files only: it cleans up after the last test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { buildRunner, kill, processesHolding, until } from './runner.ts';

export interface BuiltRunner {
  /** A temp folder, in which tests may make others; gone at the end, and every process with it that has it in its arguments or environment. */
  readonly folder: string;
  readonly script: string;
}

/** To be read in tests and hooks, not before. */
export function useBuiltRunner(): BuiltRunner {
  let folder = '';
  let script = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gpu-run-build-'));
    script = buildRunner(folder);
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await until(() => {
      const left = processesHolding(folder);
      for (const pid of left) kill(pid);
      return left.length === 0;
    }, 'the end of the runners');
  });
  return {
    get folder() {
      return folder;
    },
    get script() {
      return script;
    },
  };
}
