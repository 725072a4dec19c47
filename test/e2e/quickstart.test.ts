/** What `npm run quickstart` does once the clone is built: a newcomer's first minute. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processesWith } from './suite/project.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-newcomer-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test('trains Iris through local over SSH, shows losses and cost, pulls outputs, leaves no process and nothing outside the state folder', async () => {
  const home = join(root, 'state');
  const env = { PATH: process.env['PATH'], HOME: root, GPU_RUN_HOME: home, GPU_RUN_LINK: '0', METADATA_SERVER_DETECTION: 'none' };
  const script = fileURLToPath(new URL('../../scripts/quickstart.ts', import.meta.url));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [script], { env, maxBuffer: 2 ** 24 });
  const said = stdout + stderr;
  expect(said.match(/"epoch":\d+,"loss":/g)?.length).toBe(100);
  expect(Number(/"test_acc":([\d.]+)/.exec(said)?.[1])).toBeGreaterThanOrEqual(0.93);
  expect(said).toMatch(/ended with exit code 0 after .* \(cost \$0\.00\)/);
  expect(said).toContain('is gone');
  const files = readdirSync(home, { recursive: true }).map(String);
  expect(files.some((file) => file.endsWith('outputs/checkpoints/model.json'))).toBe(true);
  expect(readdirSync(root)).toEqual(['state']);
  expect(processesWith(root)).toEqual([]);
});
