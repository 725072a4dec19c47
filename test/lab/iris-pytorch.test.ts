/** The PyTorch example as a user runs it, on a `local` machine, with Debian's python3-torch. */
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createProject } from '../e2e/suite/project.ts';

const example = fileURLToPath(new URL('../../examples/iris-pytorch', import.meta.url));

test('trains Iris to at least 0.93 on rows that it has never seen, streams the losses and brings the checkpoint back', async () => {
  await using project = createProject({ label: 'local', config: '' });
  cpSync(example, project.folder, { recursive: true, filter: (path) => !path.endsWith('/outputs') });
  const { run, document } = await project.json(['train', '--', '/usr/bin/python3', 'train.py']); // Debian's, whatever is first on PATH
  expect(run.code, run.stderr).toBe(0);
  expect(document.metrics.last.test_acc).toBeGreaterThanOrEqual(0.93);
  const events: { type: string; values?: { loss?: number } }[] = run.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.filter(({ type, values }) => type === 'metric' && values?.loss !== undefined).length).toBeGreaterThanOrEqual(50);
  expect(document.outputs.map(({ path }: { path: string }) => path)).toContain('outputs/checkpoints/checkpoint.pt');
  expect(JSON.parse(project.read('outputs/metrics.json').toString())).toMatchObject({ test_acc: document.metrics.last.test_acc });
});
