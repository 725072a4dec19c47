/** What becomes of the machine that a `train` rents. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadSettings } from '../../../src/config/load.ts';
import { trainInput } from '../../../src/workflows/from-settings.ts';

test.each([
  ['auto', true],
  ['down', true],
  ['keep', false],
] as const)('with teardown %s it is for one job: %s', async (teardown, forOneJob) => {
  const settings = await loadSettings({ cwd: mkdtempSync(join(tmpdir(), 'settings-')), flags: {}, env: {} });
  const choices = { command: { kind: 'shell', text: 'true' }, secrets: {}, detach: false, teardown, keepOnFailure: false } as const;
  expect(trainInput(settings, choices).up.forOneJob).toBe(forOneJob);
});
