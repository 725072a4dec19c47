import fc from 'fast-check';
import { expect, test } from 'vitest';
import { outputMode, splitCommand } from '../../../src/cli/output-mode.ts';

test('what stands behind -- belongs to the command, word for word', () => {
  expect(splitCommand(['cats', '--json', '--', 'sh', '-c', 'exit 37', '--', '--json'])).toEqual({
    own: ['cats', '--json'],
    command: ['sh', '-c', 'exit 37', '--', '--json'],
  });
  expect(splitCommand(['cats'])).toEqual({ own: ['cats'], command: null });
  expect(splitCommand(['--'])).toEqual({ own: [], command: [] });
});

test('no word is lost or moved', () => {
  const words = fc.array(fc.oneof(fc.string(), fc.constantFrom('--', '--json', '-')));
  fc.assert(
    fc.property(words, (argv) => {
      const { own, command } = splitCommand(argv);
      expect(own).not.toContain('--');
      expect(command === null ? own : [...own, '--', ...command]).toEqual(argv);
    }),
  );
});

test.each([
  [['status', '--json'], {}, true],
  [['status'], { GPU_RUN_JSON: '1' }, true],
  [['status'], { GPU_RUN_JSON: 'True' }, true],
  [['status'], { GPU_RUN_JSON: '0' }, false],
  [['status'], { GPU_RUN_JSON: '' }, false],
  [['train', '--', 'tool', '--json'], {}, false],
])('%j with %j: json is %s', (argv, env, json) => {
  expect(outputMode(argv, env)).toEqual({ json, quiet: false, verbose: false });
});
