/** A rented GPU from the first command to the last, as the README tells it. The whole suite of the main job runs on `gcp` in the lab. */
import { expect, test } from 'vitest';
import { gcpForFile } from './suite/gcp-target.ts';
import { createProject } from './suite/project.ts';

const target = await gcpForFile();

test('up, train, logs, status, cost and down on a GPU that nobody named a provider for', async () => {
  await using project = createProject({ ...target, config: 'outputs: [out/]' });
  project.write('train.sh', 'nvidia-smi -L; mkdir -p out; echo model > out/model; echo \'{"step":1,"loss":0.5}\'; exit 37\n');
  const { run, document } = await project.json(['up', '--gpu', 'L4:1', '--spot']);
  expect(run.code, run.stderr).toBe(0);
  expect(document.machine).toMatchObject({ provider: 'gcp', type: 'g2-standard-4', gpu: { name: 'L4', count: 1 }, spot: true, state: 'ready' });
  expect(document.machine.protection.join()).toContain('gcp ends it at its deadline');
  expect(document.machine.hostKey).toMatch(/^ssh-ed25519 /);
  expect(run.stderr).toContain('a kernel ran on each');

  const train = await project.run(['train', '--', 'sh', 'train.sh']);
  expect(train.code, train.stderr).toBe(37);
  expect(train.text).toMatch(/GPU 0: NVIDIA L4/);
  expect(project.read('out/model').toString()).toBe('model\n');
  expect((await project.run(['logs'])).text).toContain('"loss":0.5');

  const status = await project.json(['status', '--refresh']);
  expect(status.document.machines).toMatchObject([{ name: project.name, state: 'ready' }]);
  expect(target.emulator.instances()).toHaveLength(1);
  expect((await project.json(['cost'])).document.total.usd).toBeGreaterThan(0);
  expect((await project.json(['down', '--yes'])).document.machines).toMatchObject([{ name: project.name, state: 'gone' }]);
  expect(target.emulator.instances()).toEqual([]);
  expect(target.emulator.disks()).toEqual([]);
});
