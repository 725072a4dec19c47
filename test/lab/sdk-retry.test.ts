/** The SDK's `train` where the machine is lost under the job: it goes on from its last checkpoint on another one, as `gpu-run train` does. Built package. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createGpuRun, type GpuRun, type JobEvent } from '../../dist/index.js';
import { processesWith } from '../e2e/suite/project.ts';
import { kill } from '../support/runner.ts';

const program = `
dir="$GPU_RUN_CHECKPOINT_DIR"; mkdir -p "$dir"; step=0
[ -z "$GPU_RUN_RESUME_FROM" ] || step=$(cat "$GPU_RUN_RESUME_FROM/last")
while [ "$GPU_RUN_ATTEMPT" = 1 ] || [ "$step" -lt "$STEPS" ]; do
  step=$((step + 1)); echo "step=$step loss=0.5"
  echo $step > "$dir/.last"; mv "$dir/.last" "$dir/last"; sleep 0.2
done
`;

let root: string;
let gpuRun: GpuRun;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gpu-run-sdk-'));
  const folder = join(root, 'cats');
  mkdirSync(folder);
  writeFileSync(join(folder, 'train.sh'), program);
  writeFileSync(join(folder, 'gpu-run.yaml'), 'name: sdk-retry\ntrain: sh train.sh\noutputs: [checkpoints/]\nretry: { attempts: 2 }\n');
  gpuRun = createGpuRun({ home: join(root, 'home'), folder, env: { PATH: process.env['PATH'] } });
});
afterEach(() => {
  for (const { pid } of processesWith(root)) kill(pid);
  rmSync(root, { recursive: true, force: true });
});

/** All of the machine's processes at once, as when its power goes. */
function cutPower(): void {
  for (const { pid } of processesWith(join(root, 'home', 'local'))) kill(pid);
}

const hasCheckpoint = () => {
  const jobs = join(root, 'home', 'jobs');
  return existsSync(jobs) && readdirSync(jobs, { recursive: true }).some((path) => String(path).endsWith('checkpoints/last'));
};

test('a job goes on from its last checkpoint, and the machine goes down at the end', async () => {
  const events: JobEvent[] = [];
  let isCut = false;
  const onEvent = (event: JobEvent) => {
    events.push(event);
    if (isCut || event.type !== 'log' || !hasCheckpoint()) return;
    isCut = true;
    cutPower();
  };
  const result = await gpuRun.train({ env: { STEPS: '30' }, onEvent });
  expect(result).toMatchObject({ job: { attempts: 2, end: { code: 0, reason: 'exit' } }, machineDown: true, leftovers: [] });
  expect(result.outputs.map(({ path }) => path)).toContain('checkpoints/last');
  const log = events.flatMap((event) => (event.type === 'log' ? [Buffer.from(event.bytes).toString()] : [])).join('');
  const steps = [...log.matchAll(/^step=(\d+)/gm)].map(([, step]) => Number(step));
  expect(new Set(steps)).toEqual(new Set(Array.from({ length: Math.max(30, ...steps) }, (_, index) => index + 1)));
  expect(
    steps.filter((step) => step === 1),
    'it does not begin anew',
  ).toHaveLength(1);
  expect(events.flatMap((event) => (event.type === 'state' && event.state === 'running' ? ['running'] : []))).toHaveLength(2);
  expect((await gpuRun.status()).machines).toEqual([]);
});

test('once the attempts are used up, the loss of the machine is an error, and nothing is left up', async () => {
  const onEvent = (event: JobEvent) => {
    if (event.type === 'state' && event.state === 'running') cutPower();
  };
  await expect(gpuRun.train({ env: { STEPS: '1000' }, onEvent })).rejects.toMatchObject({ code: 'lost' });
  const { machines, jobs } = await gpuRun.status({ all: true });
  expect(machines.map(({ state }) => state)).toEqual(['gone', 'gone']);
  expect(jobs).toMatchObject([{ state: 'ended', attempts: 2, end: { reason: 'lost' } }]);
});
