import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderChecks } from '../../../src/cli/render/reports.ts';
import { createStyle } from '../../../src/cli/render/style.ts';
import { renderTable } from '../../../src/cli/render/table.ts';
import { ago, cut, harmless, harmlessLines, moment, plural, span, wrap } from '../../../src/cli/render/text.ts';

const plain = createStyle(false);

test('control characters from elsewhere are shown, not obeyed', () => {
  expect(harmless('a\u001b[2Jb\r\n\tc\u0007\u009b1m')).toBe('a\\e[2Jb\\r\\n\\tc\\u0007\\u009b1m');
  expect(harmless('abc\u202egnp.exe')).toBe('abc\\u202egnp.exe');
  expect(harmless('naïve 模型 🐈')).toBe('naïve 模型 🐈');
  expect(harmlessLines('one\r\ntwo\u001b[0m')).toEqual(['one', 'two\\e[0m']);
});

test('nothing that steers a terminal survives, and nothing changes twice', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = harmless(text);
      expect(shown).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
      expect(harmless(shown)).toBe(shown);
    }),
  );
});

test.each([
  [0, '0s'],
  [59.4, '59s'],
  [3599, '59m 59s'],
  [3_661, '1h 1m'],
  [14_399, '4h'],
  [90_000, '1d 1h'],
])('%f seconds are %s', (seconds, shown) => {
  expect(span(seconds)).toBe(shown);
});

test('ages, moments, numbers, cuts', () => {
  expect(ago(1_000, 13_000)).toBe('12s ago');
  expect(ago(5_000, 1_000)).toBe('just now');
  expect(moment(Date.UTC(2026, 10, 21, 8, 45, 59))).toBe('2026-11-21 08:45 UTC');
  expect([plural(1, 'file'), plural(0, 'file')]).toEqual(['1 file', '0 files']);
  expect([cut('abcdef', 6), cut('abcdef', 5), cut('🐈🐈🐈', 2)]).toEqual(['abcdef', 'abcd…', '🐈…']);
});

test('a table', () => {
  const table = renderTable(
    [{ title: 'NAME' }, { title: 'COST', align: 'right' }, { title: 'COMMAND' }],
    [
      ['cats', '$1.25', 'python train.py'],
      ['a-longer-name', '$12.00', 'x\ny'],
    ],
    plain,
  );
  expect(table.split('\n')).toEqual([
    'NAME             COST  COMMAND', //
    'cats            $1.25  python train.py',
    'a-longer-name  $12.00  x\\ny',
  ]);
});

test('no line of a table is wider than the terminal', () => {
  const cells = fc.array(fc.tuple(fc.string(), fc.string(), fc.string()), { maxLength: 5 });
  fc.assert(
    fc.property(cells, fc.integer({ min: 1, max: 60 }), (rows, width) => {
      const lines = renderTable([{ title: 'A' }, { title: 'B', align: 'right' }, { title: 'C' }], rows, plain, width).split('\n');
      expect(lines).toHaveLength(rows.length + 1);
      for (const line of lines) expect([...line].length).toBeLessThanOrEqual(width);
    }),
  );
});

test('colours only where they are wanted', () => {
  expect(createStyle(true).red('x')).toBe('\u001b[31mx\u001b[39m');
  expect(plain.red('x')).toBe('x');
});

test('wrapped text says the same, and a line is too long only where a word is', () => {
  expect(wrap('  as   it stands', 80)).toEqual(['  as   it stands']);
  const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(words, fc.integer({ min: 1, max: 40 }), (list, width) => {
      const lines = wrap(list.join(' '), width);
      expect(lines.join(' ')).toBe(list.join(' '));
      for (const line of lines) expect(line.length <= width || !line.includes(' ')).toBe(true);
    }),
  );
});

test('checks are broken at the width of the terminal; what is to be copied stays whole', () => {
  const text = `optional: with the line  Include "/home/ada/.local/state/gpu-run/ssh_config"  at the top, plain \`ssh NAME\` reaches your machines`;
  const lines = renderChecks([{ name: 'ssh NAME', outcome: 'ok', text, hints: ['Enable the API of your own project first, as its owner: gpu-run doctor'] }], {
    style: createStyle(false),
    width: 60,
  }).split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  expect(lines[0]).toMatch(/^ok {4}ssh NAME: optional/);
  expect(lines.slice(-2)).toEqual(['      -> Enable the API of your own project first, as its', '         owner: gpu-run doctor']);
  expect(lines.join('\n')).toContain('"/home/ada/.local/state/gpu-run/ssh_config"');
});
