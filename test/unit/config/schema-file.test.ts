import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { schemaFile, schemaText } from '../../../scripts/write-schema.ts';
import { configSchema, templateSchema } from '../../../src/config/schema.ts';
import { project } from './project.ts';

const guide = readFileSync(join(import.meta.dirname, '../../../docs/config.md'), 'utf8');

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly description?: string;
  readonly additionalProperties?: unknown;
}

/** `limits.max-time`, with the description that it must have. */
function keysOf(schema: JsonSchema, before = ''): [string, string | undefined][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const key = `${before}${name}`;
    return [[key, inner.description], ...keysOf(inner, `${key}.`), ...(inner.items === undefined ? [] : keysOf(inner.items, `${key}[].`))];
  });
}

describe('the published JSON Schema', () => {
  it('is what scripts/write-schema.ts writes now', () => {
    expect(readFileSync(schemaFile, 'utf8')).toBe(schemaText());
  });

  it('describes every key, and lets no other pass', () => {
    const schema = JSON.parse(schemaText()) as JsonSchema;
    const keys = keysOf(schema);
    expect(keys.map(([key]) => key)).toEqual(expect.arrayContaining(['train', 'sync.data[].to', 'limits.max-time', 'ssh.host-key']));
    expect(keys.filter(([, description]) => description === undefined)).toEqual([]);
    expect(schema.additionalProperties).toBe(false);
  });
});

describe('docs/config.md', () => {
  it('has a row for every key', () => {
    const rows = new Set([...guide.matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key));
    const keys = keysOf(JSON.parse(schemaText()) as JsonSchema).map(([key]) => key);
    expect(keys.filter((key) => !rows.has(key))).toEqual([]);
  });

  it('names every key of a template', () => {
    const section = guide.slice(guide.indexOf('## Templates'));
    expect(Object.keys(templateSchema(null).shape).filter((key) => !section.includes(`\`${key}\``))).toEqual([]);
    expect(Object.keys(configSchema(null).shape).length).toBeGreaterThan(10);
  });

  it('shows a template that loads', async () => {
    const text = /^```yaml\n(# ~\/\.config\/gpu-run\/templates\/gpubox\.yaml\n[\s\S]*?)^```$/m.exec(guide)?.[1] ?? '';
    using it = project({ 'gpu-run/templates/gpubox.yaml': text });
    expect(await it.load({ template: 'gpubox' })).toMatchObject({ providers: ['ssh'], need: { gpu: { count: 2 } }, env: { OMP_NUM_THREADS: '8' } });
  });

  it('shows examples that load', async () => {
    const examples = [...guide.matchAll(/^```yaml\n(# gpu-run\.yaml\n[\s\S]*?)^```$/gm)].map(([, text]) => text ?? '');
    expect(examples.length).toBeGreaterThan(0);
    for (const text of examples) {
      using it = project({ 'gpu-run.yaml': text, '../pets': '', 'gpu-run/templates/gcp-l4.yaml': 'description: x', '../home/.ssh/id_ed25519': '' });
      await expect(it.load()).resolves.toMatchObject({ configFile: join(it.folder, 'gpu-run.yaml') });
    }
  });
});
