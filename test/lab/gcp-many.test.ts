/** Forty machines at once from one process: all come up, all go, and the process stays small. How long it takes is measured by `npm run bench gcp-many`. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { gcpForFile } from '../e2e/suite/gcp-target.ts';

const { emulator } = await gcpForFile({ operationMs: 100 });
const program = fileURLToPath(new URL('../../bench/up-many.js', import.meta.url));

test('40 machines up and down in one process that needs less than 300 MB', async () => {
  const env = { PATH: process.env['PATH'], ...emulator.env };
  const { stdout } = await promisify(execFile)(process.execPath, [program, '40'], { env });
  const result = JSON.parse(stdout);
  console.log(
    `40 machines: up ${seconds(result.upMs)}, down ${seconds(result.downMs)}, CPU ${seconds(result.cpuMs)}, peak ${Math.round(result.peakBytes / 1e6)} MB`,
  );
  expect(result.machines).toBe(40);
  expect(result.peakBytes).toBeLessThan(300 * 1024 * 1024);
  const inserts = emulator.calls.filter(({ id, status }) => id === 'instances.insert' && status === 200);
  expect(inserts).toHaveLength(40);
  expect(new Set(inserts.map(({ query }) => new URLSearchParams(query).get('requestId'))).size).toBe(40);
  expect(emulator.calls.filter(({ id }) => id === 'images.getFromFamily')).toHaveLength(1); // asked once for all
  expect(emulator.instances()).toEqual([]);
});

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
