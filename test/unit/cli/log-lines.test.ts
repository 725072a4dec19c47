import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCutBars } from '../../../src/cli/render/cut-bars.ts';
import { createFold } from '../../../src/cli/render/fold-bars.ts';
import { chain, createClockColumn, type LineFilter, type Timed } from '../../../src/cli/render/log-lines.ts';

const seconds = (count: number) => count * 1_000;

/** What comes out for pieces of text with their times in seconds. */
function through(filter: LineFilter, pieces: readonly (readonly [text: string, at: number | null])[]): string {
  const out: Timed[] = [];
  for (const [text, at] of pieces) out.push(...filter.push({ bytes: Buffer.from(text, 'latin1'), at: at === null ? null : seconds(at) }));
  out.push(...filter.rest());
  return Buffer.concat(out.map(({ bytes }) => bytes)).toString('latin1');
}

const fold = (...texts: readonly string[]) =>
  through(
    createFold(() => 0),
    texts.map((text) => [text, 0] as const),
  );

/** The same text in random pieces. */
const cutText = (text: fc.Arbitrary<string>) =>
  fc.tuple(text, fc.array(fc.nat(200))).map(([whole, cuts]) => {
    const places = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
    return { whole, pieces: places.slice(1).map((end, index) => whole.slice(places[index], end)) };
  });
const long = 'x'.repeat(70_000);
const alphabet = fc.array(fc.constantFrom('a', 'bc', '\n', '\r', '\r\n', ' ', '\b\b'), { maxLength: 40 }).map((parts) => parts.join(''));

describe('bars that are wider than the terminal', () => {
  const cutTo = (columns: number, ...texts: readonly string[]) =>
    through(
      createCutBars(() => columns),
      texts.map((text) => [text, 0] as const),
    );

  test.each([
    ['a state is cut before the last column; the last one is whole', '\r123456789\r987654321\nline of 12345\n', '\r1234\r987654321\nline of 12345\n'],
    ['what fits stays', '\r1234\r4321\n', '\r1234\r4321\n'],
    ['colours and moves take no room', '\r\u001b[31m12345\u001b[0m\u001b[A\r', '\r\u001b[31m1234\u001b[0m\u001b[A\r'],
    ['characters are whole', '\rä23ö5ü\r', '\rä23ö\r'],
    ['wide characters take two columns', '\r訓練中\r123✅\r12✅\r한국\r', '\r訓練\r123\r12✅\r한국\r'],
    ['backspaces', '\r12\b\b34567\b\b\r', '\r12\b\b3456\r'],
  ])('%s', (_, text, expected) => {
    const bytes = Buffer.from(text).toString('latin1');
    expect(cutTo(5, bytes)).toBe(Buffer.from(expected).toString('latin1'));
    expect(cutTo(5, ...bytes)).toBe(Buffer.from(expected).toString('latin1'));
  });

  test('the end of a log without a newline is not lost', () => expect(cutTo(5, '\r123456')).toBe('\r123456'));

  test('bytes that are no characters, and half of one at the end, are not lost', () => {
    for (const text of ['\r\xe8\xa8|\n', '\r\x80\xff\r\xe8\x1b[A\n', '\r\xe8\xa8', '\r12\xe8\xa8\xe8', '\r\xe8\b\r']) expect(cutTo(5, ...text)).toBe(text);
  });

  test('a terminal that is wide enough gets what it got', () => {
    fc.assert(fc.property(cutText(alphabet), ({ whole, pieces }) => void expect(cutTo(1_000, ...pieces)).toBe(whole)));
  });
});

describe('folded progress bars', () => {
  test.each([
    ['a bar as tqdm draws it', 'start\n\r  0%|   \r 50%|#  \r100%|###\nend\n', 'start\n100%|###\nend\n'],
    ['one that returns at the end of each state', ' 1%\r 2%\r 3%\r\nend\n', ' 3%\r\nend\n'.replace(' 3%\r\n', ' 3%\n')],
    ['backspaces before the return, as Keras sends them', '1/9\b\b\b\r2/9\b\b\b\r9/9\n', '9/9\n'],
    ['a bar that is wiped away at its end', ' 99%\r100%\r\u001b[K\nend\n', '100%\nend\n'],
    ['a bar that stops in its middle', ' 10%\r 20%\r', ' 20%\n'],
    ['a bar whose last state does not end', ' 10%\r 20%', ' 20%\n'],
    ['lines of another system', 'one\r\ntwo\r\n\r\n', 'one\r\ntwo\r\n\r\n'],
    ['a bar, and a long line behind it', `1%\r2%\r${long}\nnext\n`, `2%\n${long}\nnext\n`],
    ['a long line that begins with a return', `\r${long}\nnext\n`, `${long}\nnext\n`],
    ['no bar at all, without an end', 'one\n\ntwo', 'one\n\ntwo'],
  ])('%s', (_, text, expected) => {
    expect(fold(text)).toBe(expected);
  });

  test('of one that goes on, a state every half minute', () => {
    const states = Array.from({ length: 100 }, (_, second) => [`\r${second}%`, second] as const);
    expect(
      through(
        createFold(() => 0),
        [...states, ['\n', 100]],
      ),
    ).toBe('29%\n59%\n89%\n99%\n'.replace('29%', '29%'));
  });

  test('times that are not known are those of the clock', () => {
    let now = 0;
    const filter = createFold(() => now);
    const shown: string[] = [];
    for (; now < 70_000; now += 1_000) for (const { bytes } of filter.push({ bytes: Buffer.from(`\r${now / 1_000}`), at: null })) shown.push(String(bytes));
    expect(shown).toHaveLength(2);
  });

  test('it makes no difference how the bytes are cut', () => {
    fc.assert(fc.property(cutText(alphabet), ({ whole, pieces }) => void expect(fold(...pieces)).toBe(fold(whole))));
  });

  test('what has no bar in it stays as it is', () => {
    const plain = fc.array(fc.constantFrom('a', 'bc', '\n', '\r\n', ' ', '\b', '\xff', '\0'), { maxLength: 40 }).map((parts) => parts.join(''));
    fc.assert(fc.property(cutText(plain), ({ whole, pieces }) => void expect(fold(...pieces)).toBe(whole)));
  });

  test('what is visible at the end is kept, and nothing else', () => {
    fc.assert(
      fc.property(alphabet, (text) => {
        const shown = fold(text).split('\n');
        const visible = text.split('\n').map(
          (line) =>
            line
              .split('\r')
              .filter((state) => state.replaceAll('\b', '').trim() !== '')
              .at(-1) ?? '',
        );
        for (const line of visible.filter((each) => each !== '')) expect(shown.some((each) => each.includes(line))).toBe(true);
        expect(shown.length).toBeLessThanOrEqual(visible.length + 1);
      }),
    );
  });

  test('a line without end is passed on, and not held in memory', () => {
    const filter = createFold(() => 0);
    expect(filter.push({ bytes: Buffer.from(long), at: 0 })).toHaveLength(1);
    expect(filter.push({ bytes: Buffer.from('y\rz'), at: 0 }).map(({ bytes }) => String(bytes))).toEqual(['y\rz']);
    expect(filter.push({ bytes: Buffer.from('\nshort\n'), at: 0 }).map(({ bytes }) => String(bytes))).toEqual(['\n', 'short\n']);
  });
});

describe('times before lines', () => {
  test('of where each begins', () => {
    const text = through(createClockColumn(), [
      ['one', 1],
      [' more\ntwo\n', 2],
      ['\n', null],
    ]);
    expect(text).toBe(`1970-01-01T00:00:01.000Z one more\n1970-01-01T00:00:02.000Z two\n-${' '.repeat(23)} \n`);
  });

  test('of each state of a bar, but not of lines that end in both', () => {
    expect(
      through(createClockColumn(), [
        ['1%\r2%\r\n3\r', 1],
        ['\n', 2],
        ['4', 3],
      ]),
    ).toBe('1970-01-01T00:00:01.000Z 1%\r1970-01-01T00:00:01.000Z 2%\r\n1970-01-01T00:00:01.000Z 3\r\n1970-01-01T00:00:03.000Z 4');
  });

  test('nothing else changes, however the bytes are cut', () => {
    const stamp = '1970-01-01T00:00:01.000Z ';
    fc.assert(
      fc.property(cutText(alphabet), ({ whole, pieces }) => {
        const shown = through(
          createClockColumn(),
          pieces.map((piece) => [piece, 1] as const),
        );
        expect(shown.replaceAll(stamp, '')).toBe(whole);
        expect(shown).toBe(through(createClockColumn(), [[whole, 1]]));
      }),
    );
  });

  test('behind a fold: of the state that is left', () => {
    expect(
      through(chain([createFold(() => 0), createClockColumn()]), [
        ['\r1%', 1],
        ['\r2%', 2],
        ['\n', 3],
      ]),
    ).toBe('1970-01-01T00:00:02.000Z 2%\n');
  });
});
