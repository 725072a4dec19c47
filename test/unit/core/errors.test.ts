import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';

test('what node prints of an error is what happened, its code and what to do; what we decide by is there all the same', () => {
  const error = new GpuRunError('quota', 'No quota.', { hints: ['Ask for more.'], retry: 'elsewhere', elsewhere: { rulesOut: 'region' } });
  expect(inspect(error)).toMatch(/^GpuRunError: No quota\.\n( {4}at .*\n?)+ \{\n {2}code: 'quota',\n {2}hints: \[ 'Ask for more\.' \]\n\}$/);
  expect(error).toMatchObject({ retry: 'elsewhere', elsewhere: { rulesOut: 'region' }, leftBehind: 'unknown', attempts: [] });
});

test('what was tried is shown where something was', () => {
  const attempts = [{ provider: 'gcp', region: null, zone: null, type: null, error: null }];
  expect(inspect(new GpuRunError('no-capacity', 'Nothing.', { attempts }))).toContain('attempts: [');
});
