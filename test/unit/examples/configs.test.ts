import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadSettings } from '../../../src/config/load.ts';
import { exampleFolder } from './run-example.ts';

const names = readdirSync(exampleFolder('.'), { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));

test.each(names)('examples/%s runs on this computer, from its own folder, with limits', async (name) => {
  const folder = exampleFolder(name);
  const settings = await loadSettings({ cwd: folder, flags: {}, env: {} });
  expect(settings).toMatchObject({ name, configFile: join(folder, 'gpu-run.yaml'), providers: ['local'], outputs: ['outputs'], folder });
  expect(settings.train).not.toBeNull();
  expect(settings.limits.maxTimeSeconds).toBeLessThanOrEqual(15 * 60);
  expect(settings.limits.budgetUsd).toBeLessThanOrEqual(1);
  expect(existsSync(join(folder, 'README.md'))).toBe(true);
});

test("iris is set up again when package.json changes, and asks for the repository's own TensorFlow.js", async () => {
  const settings = await loadSettings({ cwd: exampleFolder('iris'), flags: {}, env: {} });
  expect(settings.setup?.split(/\s+/)).toContain('package.json');
  const { dependencies } = JSON.parse(readFileSync(join(exampleFolder('iris'), 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
  for (const [name, version] of Object.entries(dependencies)) {
    const installed = JSON.parse(readFileSync(join(exampleFolder('../node_modules'), name, 'package.json'), 'utf8')) as { version: string };
    expect(installed.version, name).toBe(version);
  }
});
