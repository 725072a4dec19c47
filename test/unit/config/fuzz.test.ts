import fc from 'fast-check';
import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { configSchema } from '../../../src/config/schema.ts';
import { GpuRunError } from '../../../src/core/errors.ts';
import { project } from './project.ts';

const known = Object.entries(configSchema(null).shape).flatMap(([key, schema]) => {
  const inner = schema.unwrap();
  return [key, ...('shape' in inner ? Object.keys(inner.shape) : [])];
});

/** Settings, or an error of ours in which every problem has its place: never anything else. */
async function outcome(text: string): Promise<void> {
  using it = project({ 'gpu-run.yaml': text });
  const result = await it.load().catch((error: unknown) => error);
  if (!(result instanceof Error)) return;
  expect(result, text).toBeInstanceOf(GpuRunError);
  if ((result as GpuRunError).code === 'not-found') return; // a template of a random name
  for (const line of await it.problems()) expect(line, text).toMatch(/^(gpu-run\.yaml:\d+:\d+: \S|secrets: )/);
}

it('any tree of keys and values, right and wrong ones mixed, is read or refused with the place of each mistake', async () => {
  const key = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...known) }, { weight: 1, arbitrary: fc.string() });
  const leaf = fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constantFrom('4h', 'L4:1', 'off', '.', 'a/b', '(', '(x)'));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('tree'), { maxLength: 3 }), fc.dictionary(key, tie('tree'), { maxKeys: 5 })),
  }));
  await fc.assert(
    fc.asyncProperty(fc.dictionary(key, tree, { maxKeys: 6 }), (value) => outcome(stringify(value))),
    { numRuns: 150 },
  );
});

it('any text is read or refused', async () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'train: ',
      '\n',
      '  ',
      '- ',
      '[',
      '{',
      '}',
      ': ',
      '&a ',
      '*a',
      '<<: ',
      '"',
      "'",
      '!!binary ',
      '? ',
      '---\n',
      '%YAML 9\n',
      '#',
      '\t',
      '|',
      '>',
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), (pieces) => outcome(pieces.join(''))),
    { numRuns: 150 },
  );
});
