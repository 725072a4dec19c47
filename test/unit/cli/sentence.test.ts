/** Hints and warnings on a narrow terminal. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hintLines, paragraph, warningLine } from '../../../src/cli/render/sentence.ts';
import { createStyle } from '../../../src/cli/render/style.ts';

const long = `/home/ada/${'a-long-folder/'.repeat(5)}checkpoints`;
const gcloud = 'gcloud compute instances delete cats-k3v9xq --zone=us-central1-a --project=my-project --quiet';

test.each<[string, readonly string[]]>([
  ['gpu-run down cats   ends it', ['gpu-run down cats   ends it']],
  // A sentence is broken at its words.
  [
    'Free space in the home folder on the machine, or install Node 20 or later there, and then try it again.',
    ['Free space in the home folder on the machine, or install Node 20 or later', 'there, and then try it again.'],
  ],
  // A command stays whole, and what it does stands below it.
  [`${gcloud}   ends it; nothing of it bills any more once it is gone`, [gcloud, 'ends it; nothing of it bills any more once it is gone']],
  [
    `Name one of them: --start-from ${long}; without it the job begins from the start.`,
    ['Name one of them:', `--start-from ${long};`, 'without it the job begins from the start.'],
  ],
  [`Look at it: gpu-run ssh cats -- ls -la ${long}`, ['Look at it:', `gpu-run ssh cats -- ls -la ${long}`]],
  [
    `job-20261121-k3v9xq may go on, and nobody knows: gpu-run logs job-20261121-k3v9xq --follow   shows what it does`,
    ['job-20261121-k3v9xq may go on, and nobody knows:', 'gpu-run logs job-20261121-k3v9xq --follow', 'shows what it does'],
  ],
  [
    'Make them readable there (gpu-run ssh NAME -- chmod -R u+rX PATH), then pull again.',
    ['Make them readable there (gpu-run ssh NAME -- chmod -R u+rX PATH), then', 'pull again.'],
  ],
  [
    'Somebody may be listening in. If you have checked its new key, remove the old one: `ssh-keygen -R cats`.',
    ['Somebody may be listening in. If you have checked its new key, remove the', 'old one: `ssh-keygen -R cats`.'],
  ],
])('%s', (hint, lines) => {
  expect(hintLines(hint, 75)).toEqual(lines);
});

test('nothing is lost or added but line breaks, whatever it says; where there is room, not even these', () => {
  const words = fc.array(fc.constantFrom('gpu-run', 'down', 'Wait', 'cats', ',', ';', ':', '.', '`x', 'y`', "'a", "b'", '(c', 'd)', '--all', ''), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(words, fc.integer({ min: 1, max: 60 }), (given, width) => {
      const hint = given.join(' ');
      const plain = (text: string) => text.split(/\s+/).filter(Boolean);
      expect(plain(hintLines(hint, width).join(' '))).toEqual(plain(hint));
      expect(hintLines(hint, 1_000)).toEqual([hint]);
    }),
  );
});

test('a command of gpu-run is never broken', () => {
  const word = fc.stringMatching(/^[a-z0-9/-]{1,20}$/);
  const command = fc.tuple(fc.stringMatching(/^[a-z]{2,8}$/), fc.array(word, { maxLength: 6 })).map(([name, args]) => ['gpu-run', name, ...args].join(' '));
  fc.assert(
    fc.property(command, fc.integer({ min: 1, max: 100 }), (typed, width) => {
      for (const hint of [
        `${typed}   does it`,
        `Call it once more, with all that it takes: ${typed}`,
        `Do it with ${typed}, then wait; or with ${typed}. That is all.`,
      ])
        expect(hintLines(hint, width).some((line) => line.includes(typed))).toBe(true);
    }),
  );
});

test('paragraphs are broken between words, and begin like their first line', () => {
  expect(paragraph('one two three', 13)).toBe('one two three');
  expect(paragraph('  one two three', 12)).toBe('  one two\n    three');
  expect(paragraph('a-word-that-is-copied whole', 10)).toBe('a-word-that-is-copied\n  whole');
  expect(paragraph('  gpu-run logs job-1', 10)).toBe('  gpu-run logs job-1');
  const stays = "'cats' stays up: fetch them with gpu-run pull cats out/, then gpu-run down cats   ends it";
  expect(paragraph(stays, 40).split('\n')).toEqual(["'cats' stays up: fetch them with", '  gpu-run pull cats out/, then', '  gpu-run down cats   ends it']);
  expect(warningLine('mind $& the gap', createStyle(true), 18)).toBe('\u001b[33mWarning:\u001b[39m mind $&\n  the gap');
});
