import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listTemplates, loadTemplate } from '../../../src/config/template.ts';
import { project } from './project.ts';

const places = (folder: string) => ({ folder, userHome: join(folder, '../home') });

const builtIn = readdirSync(join(import.meta.dirname, '../../../templates'))
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => file.slice(0, -'.yaml'.length))
  .sort((a, b) => a.localeCompare(b));
/** Without those of Google, of which there are many. */
const notGoogles = <T extends { readonly name: string }>(templates: readonly T[]) => templates.filter(({ name }) => !name.startsWith('gcp-'));

describe('listTemplates', () => {
  it('gives those of this package, each in order', async () => {
    using it = project();
    const templates = await listTemplates(places(it.folder));
    expect(templates.map(({ name }) => name)).toEqual(builtIn);
    for (const { name, source, problem, description, providers } of templates) {
      expect({ name, source, problem, providers }).toEqual({ name, source: 'built-in', problem: null, providers: [name.split('-')[0]] });
      expect(description).toMatch(/\w/);
    }
  });

  it("puts the project's before the user's before the package's", async () => {
    using it = project({
      'gpu-run/templates/mine.yaml': 'description: of the project',
      '../home/.config/gpu-run/templates/mine.yaml': 'description: of the user',
      '../home/.config/gpu-run/templates/local.yaml': 'description: of the user\nprovider: ssh',
      '../home/.config/gpu-run/templates/notes.txt': 'not a template',
    });
    const templates = notGoogles(await listTemplates(places(it.folder))).map(({ name, source, description }) => [name, source, description]);
    expect(templates).toEqual([
      ['local', 'user', 'of the user'],
      ['mine', 'project', 'of the project'],
      ['ssh', 'built-in', expect.any(String)],
    ]);
  });

  it('shows what is wrong with one, and the others all the same', async () => {
    using it = project({ 'gpu-run/templates/bad.yaml': 'gpus: 1', 'gpu-run/templates/worse.yaml/': '' });
    const [bad, local, , worse] = notGoogles(await listTemplates(places(it.folder)));
    expect(bad).toMatchObject({ name: 'bad', description: null });
    expect(bad?.problem).toMatch(
      /bad\.yaml:1:1: description: expected one sentence.*it is missing\.\n.*bad\.yaml:1:1: unknown key 'gpus'; did you mean 'gpu'\?$/,
    );
    expect(local?.problem).toBeNull();
    expect(worse?.problem).toContain('is a folder');
  });
});

describe('loadTemplate', () => {
  it('reads every key', async () => {
    using it = project({
      'gpu-run/templates/big.yaml':
        'description: big\nprovider: gcp\ngpu: H100:8\nspot: true\nregions: [a, b]\ndisk: 1TB\nimage: debian\nsetup: nvidia-smi\nenv: { A: 1.0 }\ngcp: { project: p }\nssh: { config-file: ./cfg }',
      'gpu-run/templates/cfg': '',
    });
    expect(await loadTemplate('big', places(it.folder))).toEqual({
      providers: ['gcp'],
      gpu: { name: 'H100', count: 8 },
      spot: true,
      regions: ['a', 'b'],
      diskBytes: 1e12,
      setup: 'nvidia-smi',
      env: { A: '1.0' },
      options: { gcp: { project: 'p', image: 'debian' }, ssh: { 'config-file': join(it.folder, 'gpu-run/templates/cfg') } },
    });
  });

  it.each(['shh', '../templates/ssh', ''])('does not find %j', async (name) => {
    using it = project();
    await expect(loadTemplate(name, places(it.folder))).rejects.toMatchObject({
      code: 'not-found',
      message: `There is no template '${name}'.`,
      hints: expect.arrayContaining([expect.stringContaining('local, ssh')]),
    });
  });

  it('names the nearest one', async () => {
    using it = project({ 'gpu-run.yaml': 'template: gcp-l4', 'gpu-run/templates/gcp-l4-spot.yaml': 'description: x' });
    await expect(loadTemplate('gcp-l4-sopt', places(it.folder))).rejects.toMatchObject({ hints: ["Did you mean 'gcp-l4-spot'?", expect.any(String)] });
  });

  it('refuses one that is not in order', async () => {
    using it = project({ 'gpu-run.yaml': 'template: bad', 'gpu-run/templates/bad.yaml': 'description: x\nspot: 1\ntrain: x' });
    expect(await it.problems()).toEqual([
      expect.stringMatching(/\/gpu-run\/templates\/bad\.yaml:2:7: spot: expected true or false/),
      expect.stringMatching(/\/gpu-run\/templates\/bad\.yaml:3:1: unknown key 'train'/),
    ]);
  });

  it("can't hold a variable that is a secret of the config", async () => {
    using it = project({ 'gpu-run.yaml': 'template: t\nsecrets: [A]', 'gpu-run/templates/t.yaml': 'description: x\nenv: { A: 1 }' });
    expect(await it.problems()).toEqual(['secrets: A stands in env, too; take it out of one of them.']);
  });
});
