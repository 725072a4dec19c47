/** Metrics from the job's log to the outputs, `--json` and MLflow, by the command line as a user calls it; and gpu-run killed meanwhile. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createProject, type Project } from '../e2e/suite/project.ts';
import { type MlflowServer, startMlflow } from '../support/mlflow-server.ts';

const yaml = (rest: string) => `outputs: [runs/]\nmlflow: { experiment: pets }\n${rest}`;

let project: Project;
let server: MlflowServer;
let env: Record<string, string>;
beforeEach(async () => {
  server = await startMlflow(`Basic ${Buffer.from('ada:geheim').toString('base64')}`);
  env = { MLFLOW_TRACKING_URI: server.uri, MLFLOW_TRACKING_USERNAME: 'ada', MLFLOW_TRACKING_PASSWORD: 'geheim' };
});
afterEach(async () => {
  await project[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const steps = () => server.runs.get('run1')?.metrics.map(({ key, step }) => `${key} ${step}`) ?? [];

test('train: frameworks are read, the files lie among the outputs, MLflow has the run, and no credential reaches the job', async () => {
  project = createProject({ label: 'local', config: 'provider: local' }, yaml('train: sh job.sh'));
  const job = [
    'mkdir runs',
    'touch runs/model',
    "printf 'Epoch 1/2\\n5/10 [==>..] - ETA: 1s - loss: 0.5\\r10/10 [====] - 1s 2ms/step - loss: 0.25\\n'",
    'echo \'{"step": 20, "acc": 0.75}\'',
  ];
  project.write('job.sh', `${job.join('\n')}\nenv | grep MLFLOW && exit 9\nexit 0\n`);
  const { run, document } = await project.json(['train'], { env });
  expect(run.code, run.stderr).toBe(0);
  const events = run.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.filter(({ type }) => type === 'metric').map(({ source, step, values }) => [source, step, values])).toEqual([
    ['keras', 5, { loss: 0.5 }],
    ['keras', 10, { loss: 0.25 }],
    ['json', 20, { acc: 0.75 }],
  ]);
  const place = join(project.folder, 'runs/gpu-run', document.job.id);
  const lines = readFileSync(join(place, 'metrics.jsonl'), 'utf8').trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { step: 5, epoch: 1, loss: 0.5 },
    { step: 10, loss: 0.25 },
    { step: 20, acc: 0.75 },
  ]);
  expect(document.outputs.map(({ path }: { path: string }) => path)).toEqual(['runs/model']);
  expect(document.metrics.files).toHaveLength(2);
  expect(server.runs.get('run1')).toMatchObject({ name: document.job.id, status: 'FINISHED' });
  expect(steps()).toEqual(['loss 5', 'loss 10', 'acc 20']);
});

test('gpu-run killed again and again: whoever follows next goes on, and each metric is logged once', async () => {
  project = createProject({ label: 'local', config: 'provider: local' }, yaml('train: sh job.sh'));
  project.write('job.sh', `i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo "{\\"step\\": $i, \\"loss\\": 0.5, \\"lr\\": 0.1}"; sleep 0.05; done\n`);
  const started = project.start(['train', '--detach'], { env });
  expect((await started.done).code, started.errors()).toBe(0);
  for (let kills = 0; kills < 4; kills++) {
    const before = steps().length;
    const follower = project.start(['logs', '--follow'], { env });
    while (steps().length === before && follower.child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
    follower.child.kill('SIGKILL');
    await follower.done;
  }
  const last = await project.run(['logs', '--follow'], { env });
  expect(last.code, last.stderr).toBe(0);
  expect(last.stderr).not.toContain('geheim');
  expect(server.runs.size).toBe(1);
  expect(steps().sort()).toEqual(
    Array.from({ length: 200 }, (_, index) => [`loss ${index + 1}`, `lr ${index + 1}`])
      .flat()
      .sort(),
  );
});
