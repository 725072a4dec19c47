import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { project } from './project.ts';

/** As in the documentation. */
const full = `
# yaml-language-server: $schema=https://example.org/schema.json
name: cats-and-dogs
provider: [gcp, ssh]
template: mine
gpu: L4:1
spot: true
regions: [us-central1]
disk: 100GB
sync: { code: ., exclude: [runs/], data: [{ from: ../pets, to: data/pets/ }, { from: /etc/hostname, to: ./data/host }] }
setup: pip install -r requirements.txt
train: python train.py --epochs 4
env: { PYTHONHASHSEED: "0" }
secrets: [WANDB_API_KEY]
outputs: [runs/, ./checkpoints/]
metrics: { loss: 'loss=([0-9.]+)' }
mlflow: { tracking-uri: http://mlflow:5000/base/, experiment: pets }
limits: { max-time: 2h, budget: 3.00, idle: 10m, stall: 90m }
log: { split: true, limit: 2GB }
preempt-signal: SIGUSR1
retry: { on: [preempted, lost], attempts: 5, resume-from: checkpoints/ }
ssh: { host: gpubox, port: 2222, config-file: ./ssh_config }
gcp: { project: my-project, image: my-project/my-family, public-ip: false }
slurm: { anything: { goes: [1, 2] } }
`;

describe('loadSettings', () => {
  it('has defaults for everything', async () => {
    using it = project();
    expect(await it.load()).toEqual({
      name: 'my-project',
      folder: it.folder,
      configFile: null,
      providers: ['local'],
      providersSaid: false,
      template: null,
      need: { spot: false, regions: [], nodes: 1, providerOptions: {} },
      sync: { code: it.folder, exclude: [], data: [] },
      setup: null,
      train: null,
      env: {},
      secrets: [],
      outputs: [],
      metrics: {},
      mlflow: null,
      limits: { maxTimeSeconds: 14_400, budgetUsd: null, idleSeconds: 900, stallSeconds: 3600 },
      log: { split: false, limitBytes: null },
      preemptSignal: null,
      retry: { on: [], attempts: 1, resumeFrom: null },
    });
  });

  it('reads every key', async () => {
    using it = project({ 'gpu-run.yaml': full, ssh_config: '', '../pets/': '', 'gpu-run/templates/mine.yaml': 'description: mine\n' });
    expect(await it.load()).toEqual({
      name: 'cats-and-dogs',
      folder: it.folder,
      configFile: join(it.folder, 'gpu-run.yaml'),
      providers: ['gcp', 'ssh'],
      providersSaid: true,
      template: 'mine',
      need: {
        gpu: { name: 'L4', count: 1 },
        diskGb: 100,
        spot: true,
        regions: ['us-central1'],
        nodes: 1,
        providerOptions: {
          ssh: { host: 'gpubox', port: 2222, 'config-file': join(it.folder, 'ssh_config') },
          gcp: { project: 'my-project', image: ['my-project/my-family'], 'public-ip': false },
          slurm: { anything: { goes: [1, 2] } },
        },
      },
      sync: {
        code: it.folder,
        exclude: ['runs/'],
        data: [
          { from: join(it.folder, '../pets'), to: 'data/pets' },
          { from: '/etc/hostname', to: 'data/host' },
        ],
      },
      setup: 'pip install -r requirements.txt',
      train: { kind: 'shell', text: 'python train.py --epochs 4' },
      env: { PYTHONHASHSEED: '0' },
      secrets: ['WANDB_API_KEY'],
      outputs: ['runs', 'checkpoints'],
      metrics: { loss: 'loss=([0-9.]+)' },
      mlflow: { trackingUri: 'http://mlflow:5000/base', experiment: 'pets' },
      limits: { maxTimeSeconds: 7_200, budgetUsd: 3, idleSeconds: 600, stallSeconds: 5_400 },
      log: { split: true, limitBytes: 2_000_000_000 },
      preemptSignal: 'SIGUSR1',
      retry: { on: ['preempted', 'lost'], attempts: 5, resumeFrom: 'checkpoints' },
    });
  });

  it.each(['', '# only a comment\n', '---\n', 'null\n', '{}\n', '\uFEFF\n'])('takes %j for a config that says nothing', async (text) => {
    using it = project({ 'gpu-run.yaml': text });
    expect(await it.load()).toMatchObject({ name: 'my-project', configFile: join(it.folder, 'gpu-run.yaml'), providers: ['local'] });
  });

  it('gives the words of train and the values of env as they were typed', async () => {
    using it = project({
      'gpu-run.yaml': 'train: [python, train.py, --lr, 1e-3, 1.0, true, "", "a b"]\nenv: { A: 0, B: 1.50, C: 0x10, D: yes, E: "", F: False }',
    });
    expect(await it.load()).toMatchObject({
      train: { kind: 'argv', argv: ['python', 'train.py', '--lr', '1e-3', '1.0', 'true', '', 'a b'] },
      env: { A: '0', B: '1.50', C: '0x10', D: 'yes', E: '', F: 'False' },
    });
  });

  it('understands anchors, aliases and merged blocks', async () => {
    using it = project({ 'gpu-run.yaml': 'sync: { exclude: &big [runs/] }\noutputs: *big\nenv: &e { A: 1 }\nlimits: { <<: { idle: 5m }, max-time: 1h }' });
    expect(await it.load()).toMatchObject({ outputs: ['runs'], env: { A: '1' }, limits: { idleSeconds: 300, maxTimeSeconds: 3600 } });
  });

  it('fills in what retry leaves out, and lets idle be off', async () => {
    using it = project({ 'gpu-run.yaml': 'retry: {}\nlimits: { idle: off }' });
    expect(await it.load()).toMatchObject({ retry: { on: ['preempted', 'lost'], attempts: 3, resumeFrom: null }, limits: { idleSeconds: null } });
  });

  it('expands ~ to the home folder', async () => {
    using it = project({ 'gpu-run.yaml': 'ssh: { host: a, identity-file: ~/key }', '../home/key': '' });
    expect((await it.load()).need.providerOptions['ssh']).toEqual({ host: 'a', 'identity-file': join(it.folder, '../home/key') });
  });
});

describe('the config is looked for', () => {
  it('in the folder and above it, and its paths are relative to where it lies', async () => {
    using it = project({ 'gpu-run.yaml': 'sync: { code: code }', 'code/deep/er/': '' });
    expect(await it.load({}, {}, join(it.folder, 'code/deep/er'))).toMatchObject({
      folder: it.folder,
      name: 'my-project',
      sync: { code: join(it.folder, 'code') },
    });
  });

  it('not above the top of the git repository', async () => {
    using it = project({ 'gpu-run.yaml': 'name: outer', 'inner/.git': 'gitdir: elsewhere', 'inner/deep/': '' });
    expect(await it.load({}, {}, join(it.folder, 'inner/deep'))).toMatchObject({ configFile: null, name: 'deep' });
  });

  it('where --config, else GPU_RUN_CONFIG, says', async () => {
    using it = project({ 'gpu-run.yaml': 'name: here', 'a/one.yaml': 'name: one', 'b/two.yaml': 'name: two' });
    const env = { GPU_RUN_CONFIG: 'b/two.yaml' };
    expect(await it.load({ config: 'a/one.yaml' }, env)).toMatchObject({ name: 'one', folder: join(it.folder, 'a') });
    expect(await it.load({}, env)).toMatchObject({ name: 'two', sync: { code: join(it.folder, 'b') } });
    expect(await it.problems({ config: 'no.yaml' })).toEqual(['There is no file no.yaml.']);
  });
});

describe('who is believed', () => {
  const config =
    'template: t\ngpu: T4:3\nregions: [config]\nlimits: { max-time: 3h }\nenv: { A: config, B: config, C: config }\nsecrets: [ONE]\nssh: { host: config, port: 3 }';
  const template =
    'description: t\nprovider: [template]\ngpu: T4:4\nspot: true\ndisk: 4GB\nsetup: template\nenv: { A: template, D: template }\nssh: { host: template, user: template }';
  const files = { 'gpu-run.yaml': config, 'gpu-run/templates/t.yaml': template };

  it.each([
    ['gpu: L4', ['local', 'gcp'], false],
    ['spot: true', ['local', 'gcp'], false],
    ['gpu: L4\ngcp: { project: my-project }', ['gcp'], true],
    ['gpu: L4\nprovider: local', ['local'], true],
    ['gpu: L4\nssh: { host: box }', ['ssh'], true],
  ])('the providers that follow from %j', async (yaml, providers, providersSaid) => {
    using it = project({ 'gpu-run.yaml': yaml });
    expect(await it.load()).toMatchObject({ providers, providersSaid });
  });

  it('the template where nobody else says anything, then the config', async () => {
    using it = project(files);
    expect(await it.load()).toMatchObject({
      providers: ['template'],
      template: 't',
      setup: 'template',
      need: {
        gpu: { name: 'T4', count: 3 },
        spot: true,
        diskGb: 4,
        regions: ['config'],
        providerOptions: { ssh: { host: 'config', port: 3, user: 'template' } },
      },
      limits: { maxTimeSeconds: 3 * 3600 },
      env: { A: 'config', B: 'config', C: 'config', D: 'template' },
    });
  });

  it('flags before environment before config', async () => {
    using it = project(files);
    const env = {
      GPU_RUN_NAME: 'by-env',
      GPU_RUN_PROVIDER: 'env',
      GPU_RUN_GPU: 'T4:2',
      GPU_RUN_REGION: 'env-1, env-2',
      GPU_RUN_SPOT: 'false',
      GPU_RUN_NODES: '2',
      GPU_RUN_MAX_TIME: '2h',
      GPU_RUN_BUDGET: '2',
      GPU_RUN_IDLE: 'off',
      GPU_RUN_ENV: 'B=env\nC=env=2',
      GPU_RUN_SECRET: 'ONE, TWO',
    };
    expect(await it.load({}, env)).toMatchObject({
      name: 'by-env',
      providers: ['env'],
      need: { gpu: { name: 'T4', count: 2 }, spot: false, nodes: 2, regions: ['env-1', 'env-2'] },
      limits: { maxTimeSeconds: 7_200, budgetUsd: 2, idleSeconds: null },
      env: { A: 'config', B: 'env', C: 'env=2' },
      secrets: ['ONE', 'TWO'],
    });
    const flags = {
      name: 'by-flag',
      provider: 'f,g',
      gpu: 'T4',
      region: 'flag',
      spot: true,
      publicIp: false,
      nodes: '1',
      maxTime: '1h',
      budget: '$1.5',
      idle: '1m',
      env: ['C=flag'],
      secret: ['THREE'],
    };
    expect(await it.load(flags, env)).toMatchObject({
      name: 'by-flag',
      providers: ['f', 'g'],
      need: { gpu: { name: 'T4', count: 1 }, spot: true, publicIp: false, nodes: 1, regions: ['flag'] },
      limits: { maxTimeSeconds: 3_600, budgetUsd: 1.5, idleSeconds: 60 },
      env: { A: 'config', B: 'env', C: 'flag' },
      secrets: ['THREE', 'ONE', 'TWO'],
    });
  });

  it('an empty variable says nothing', async () => {
    using it = project(files);
    expect(await it.load({}, { GPU_RUN_GPU: '', GPU_RUN_MAX_TIME: ' ' })).toMatchObject({ need: { gpu: { count: 3 } }, limits: { maxTimeSeconds: 10_800 } });
  });

  it('an ssh: block means the provider ssh, unless another is named', async () => {
    using it = project({ 'gpu-run.yaml': 'ssh: { host: gpubox }' });
    expect((await it.load()).providers).toEqual(['ssh']);
    expect((await it.load({ provider: 'local' })).providers).toEqual(['local']);
    expect((await it.load({ template: 'local' })).providers).toEqual(['local']);
  });
});

it('does not load zod or yaml where there is no file to read', async () => {
  using it = project();
  mkdirSync(join(it.folder, 'empty'));
  const { execFileSync } = await import('node:child_process');
  const program = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    const { loadSettings } = await import(${JSON.stringify(join(import.meta.dirname, '../../../src/config/load.ts'))});
    await loadSettings({ cwd: ${JSON.stringify(it.folder)}, flags: {}, env: {} });
    console.log(JSON.stringify(loaded));`;
  const loaded = JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })) as string[];
  expect(loaded.filter((url) => url.endsWith('/config/load.ts'))).toHaveLength(1);
  expect(loaded.filter((url) => url.includes('node_modules'))).toEqual([]);
});

describe('sync.data', () => {
  it('tells what the machine fetches from what comes from here', async () => {
    const sha256 = 'A'.repeat(64);
    using it = project({
      'gpu-run.yaml': `sync: { data: [{ from: here, to: a }, { from: 'https://u:p@example.org/x?k=1', to: b, sha256: ${sha256} }, { from: gs://my-bucket/sets/, to: c }] }`,
      'here/': '',
    });
    expect((await it.load()).sync).toEqual({
      code: it.folder,
      exclude: [],
      data: [{ from: join(it.folder, 'here'), to: 'a' }],
      fetched: [
        { from: 'https://u:p@example.org/x?k=1', to: 'b', sha256: 'a'.repeat(64) },
        { from: 'gs://my-bucket/sets/', to: 'c', sha256: null },
      ],
    });
  });

  it.each([
    [
      '{ from: "http://u:pass@example.org/x?k=s3cret", to: b }',
      "sync.data[0].from: data can't be fetched from http://example.org/x?...: http:// is not protected",
    ],
    ['{ from: ftp://example.org/x, to: b }', 'not from ftp://'],
    ['{ from: https://example.org/x, to: b, sha256: abc }', 'sync.data[0].sha256: a SHA-256 is 64 hex digits'],
    [`{ from: gs://my-bucket/x/, to: b, sha256: ${'ab'.repeat(32)} }`, 'sync.data[0].sha256: it belongs to one file that is fetched; this is a folder'],
    [`{ from: ., to: b, sha256: ${'ab'.repeat(32)} }`, 'sync.data[0].sha256: it belongs to one file that is fetched; this is on this computer'],
    ['{ from: https://example.org/x, to: b, sha265: a }', "unknown key 'sync.data[0].sha265'; did you mean 'sha256'?"],
    ['{ from: https://example.org/x, to: ../b }', 'leads out of the workdir'],
    ['{ from: nothing-here, to: b }', 'there is no file or folder'],
  ])('refuses %s, and says no secret', async (item, why) => {
    using it = project({ 'gpu-run.yaml': `sync: { data: [${item}] }` });
    const error = await it.load().catch((thrown: Error) => thrown);
    expect(String(error)).toContain(why);
    expect(String(error)).not.toMatch(/pass|s3cret/);
  });
});
