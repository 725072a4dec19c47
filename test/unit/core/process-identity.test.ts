import { spawnSync } from 'node:child_process';
import { expect, onTestFinished, test, vi } from 'vitest';
import { psStart } from '../../../src/core/process-identity.ts';

test.skipIf(spawnSync('ps', ['-o', 'lstart=', '-p', '1']).status !== 0)("what `ps` says of a process does not depend on the reader's time zone", () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  const said = ['UTC', 'Asia/Tokyo'].map((zone) => {
    vi.stubEnv('TZ', zone);
    return psStart(process.pid);
  });
  expect(said[0]).toMatch(/\d\d:\d\d:\d\d \d{4}$/);
  expect(said[1]).toBe(said[0]);
});
