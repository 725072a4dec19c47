import { describe, expect, it } from 'vitest';
import { starterConfig } from '../../../src/config/starter.ts';
import { project } from './project.ts';

const shell = (text: string) => ({ kind: 'shell', text });

describe('starterConfig', () => {
  it.each([
    ['an empty folder', {}, 'unknown', null, null],
    ['a script', { 'train.py': '' }, 'python', null, shell('python3 train.py')],
    [
      'a script with requirements',
      { 'main.py': '', 'requirements.txt': '' },
      'python',
      'python3 -m venv --system-site-packages .venv && .venv/bin/pip install -r requirements.txt',
      shell('.venv/bin/python3 main.py'),
    ],
    ['a Python package', { 'pyproject.toml': '' }, 'python', 'python3 -m venv --system-site-packages .venv && .venv/bin/pip install .', null],
    [
      'a conda environment',
      { 'environment.yml': '', 'train.py': '' },
      'python',
      'conda env update --name base --file environment.yml',
      shell('python3 train.py'),
    ],
    ['a Node script', { 'package.json': '{}', 'train.js': '' }, 'node', 'npm install', shell('node train.js')],
    ['a Node package', { 'package.json': '{"scripts":{"train":"x"}}', 'package-lock.json': '{}', 'index.js': '' }, 'node', 'npm ci', shell('npm run train')],
    ['a Node package that can start', { 'package.json': '{"scripts":{"start":"x"}}' }, 'node', 'npm install', shell('npm start')],
    ['a broken package.json', { 'package.json': '{' }, 'node', 'npm install', null],
    ['both', { 'package.json': '{}', 'train.py': '', 'index.js': '' }, 'python', null, shell('python3 train.py')],
  ])('knows %s', async (_, files, found, setup, train) => {
    using it = project(files as Record<string, string>);
    const starter = starterConfig(it.folder);
    expect(starter.found).toBe(found);
    it.write('gpu-run.yaml', starter.text);
    expect(await it.load()).toMatchObject({ name: 'my-project', setup, train, outputs: ['outputs'], limits: { maxTimeSeconds: 14_400, idleSeconds: 900 } });
  });

  it.each([
    [`open("runs/log.txt", "w"); os.makedirs('./checkpoints')`, ['runs', 'checkpoints']],
    [`# runs and checkpoints are words here`, ['outputs']],
  ])('proposes the outputs that the script names: %j', async (script, outputs) => {
    using it = project({ 'train.py': script });
    it.write('gpu-run.yaml', starterConfig(it.folder).text);
    expect(await it.load()).toMatchObject({ outputs });
  });

  it('passes a notebook with any name as one word', async () => {
    using it = project({ '-my \'note".ipynb': '', 'requirements.txt': '' });
    const starter = starterConfig(it.folder);
    expect(starter.found).toBe('notebook');
    it.write('gpu-run.yaml', starter.text);
    const argv = ['.venv/bin/jupyter', 'nbconvert', '--to', 'notebook', '--execute', '--output-dir', 'outputs', './-my \'note".ipynb'];
    expect(await it.load()).toMatchObject({
      setup: 'python3 -m venv --system-site-packages .venv && .venv/bin/pip install -r requirements.txt',
      train: { kind: 'argv', argv },
    });
  });

  it.each(['null', 'true', 'False', '123', 'no', 'Ünï çödé', 'a: b'])('gives a folder called %j a name that YAML does not mistake', async (name) => {
    using it = project({ [`${name}/`]: '' });
    it.write(`${name}/gpu-run.yaml`, starterConfig(`${it.folder}/${name}`).text);
    expect((await it.load({ config: `${name}/gpu-run.yaml` })).name).toMatch(/^[a-z][a-z0-9-]*$/);
  });

  it('loads with its comments taken away, too, all but the alternatives', async () => {
    using it = project({ 'train.py': '', '../pets': '' });
    const text = starterConfig(it.folder)
      .text.replace(/^# (?=(provider|ssh|gpu|setup|sync|env|secrets|metrics|mlflow|retry|log): )/gm, '')
      .replace(/^ {2}# /gm, '  ')
      .replace(/^# sync:\n# {3}(.*)\n# {3}(.*)$/m, 'sync:\n  $1\n  $2');
    it.write('gpu-run.yaml', text);
    expect(await it.load()).toMatchObject({
      providers: ['ssh'],
      need: { gpu: { name: 'L4', count: 1 }, providerOptions: { ssh: { host: 'gpubox.example.org', 'price-per-hour': 1.2 } } },
      setup: 'python3 -m venv --system-site-packages .venv && .venv/bin/pip install -r requirements.txt',
      sync: { exclude: ['notes/'], data: [{ to: 'data/pets' }] },
      secrets: ['WANDB_API_KEY'],
      metrics: { loss: 'loss=([0-9.]+)' },
      mlflow: { trackingUri: 'http://mlflow.example.org:5000' },
      retry: { on: ['preempted', 'lost'], attempts: 3, resumeFrom: 'checkpoints' },
      log: { split: false, limitBytes: 1e9 },
      limits: { budgetUsd: 3 },
    });
  });
});
