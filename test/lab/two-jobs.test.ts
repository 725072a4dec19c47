/** Two jobs of one GPU each on a machine with two, by the command line. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createProject } from '../e2e/suite/project.ts';
import { createFakeGpus } from '../support/fake-gpu/fake-gpu.ts';
import { until } from '../support/runner.ts';

test('they run side by side, a third waits and says for what, and their costs are by their GPUs', { timeout: 60_000 }, async () => {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-two-'));
  const { CUDA_VISIBLE_DEVICES: _, ...base } = process.env;
  const fake = createFakeGpus(root, ['NVIDIA L4', 'NVIDIA L4'], null, base);
  const env = { PATH: fake.env['PATH'] ?? '', LD_LIBRARY_PATH: fake.env['LD_LIBRARY_PATH'] ?? '' };
  await using project = createProject({ label: 'local', config: 'provider: local', env }, 'train: "./train.sh"\ngpu: L4:1');
  project.write('train.sh', `#!/bin/sh\necho "sees $CUDA_VISIBLE_DEVICES"; until [ -e ${root}/go ]; do sleep 0.05; done\n`, 0o755);
  try {
    const { document: made } = await project.json(['up', '--gpu', 'L4:2']);
    expect(made.machine.gpu).toEqual({ name: 'L4', count: 2 });
    const submitted: { readonly id: string; readonly stderr: string }[] = [];
    for (let n = 0; n < 3; n++) {
      if (n === 2) project.write('train.sh', `${project.read('train.sh').toString()}# changed\n`, 0o755);
      const { document, run } = await project.json(['train', '--detach']);
      expect(document.outcome, run.stderr).toBe('ok');
      submitted.push({ id: document.job.id as string, stderr: run.stderr });
    }
    expect(submitted[2]?.stderr).toMatch(/Files changed under .*, which run in the same folder/);
    const jobs = async () =>
      (await project.json(['status', '--refresh'])).document.jobs as {
        id: string;
        state: string;
        gpus: number;
        givenGpus: number[] | null;
        waitsFor: string | null;
      }[];
    const seen = await until(async () => {
      const all = await jobs();
      return all.filter(({ state }) => state === 'running').length === 2 ? all : null;
    }, 'two to run');
    const byId = new Map(seen.map((job) => [job.id, job]));
    const [a, b, c] = submitted.map(({ id }) => byId.get(id));
    expect([a?.givenGpus, b?.givenGpus, c?.givenGpus]).toEqual([[0], [1], null]);
    expect(c).toMatchObject({ state: 'queued', gpus: 1, waitsFor: `1 GPU, of which 0 are free; ${a?.id}, ${b?.id} run` });
    const { text } = await project.run(['status']);
    expect(text).toContain('1 of 2: GPU 0');
    expect(text).toContain(`${c?.id} waits for 1 GPU, of which 0 are free`);
    const refused = await project.run(['train', '--gpu', 'L4:3']);
    expect(refused.code).toBe(64);
    writeFileSync(join(root, 'go'), '');
    for (const { id } of submitted) expect((await project.run(['logs', id, '--follow'])).text).toMatch(/sees GPU-[01]/);
    const { document: cost } = await project.json(['cost', '--by', 'job']);
    expect(cost.items).toHaveLength(4); // and what was between them
  } finally {
    await project.run(['down', '--yes']);
    rmSync(root, { recursive: true, force: true });
  }
});
