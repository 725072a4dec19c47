/** The folders that are synced: made, not copied from anywhere, and the same in every run. */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, renameSync, rmdirSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createNoise, createRandom, logNormal, type Random } from './numbers.ts';

const mebi = 1024 * 1024;

/** Files like those of a program's source: half of them below 0.8 KB, 3.5 KB on average, text that becomes a fifth of its size packed. */
export function makeSources(folder: string, files: number, folders: number, seed: string): void {
  const random = createRandom(seed);
  const words = Array.from({ length: 3000 }, () => makeWord(random));
  const places: string[] = [''];
  for (let each = 1; each < folders; each += 1)
    places.push(join(places[Math.floor(random() * Math.min(places.length, 40))] ?? '', `${makeWord(random)}-${each}`));
  for (const place of places) mkdirSync(join(folder, place), { recursive: true });
  for (let file = 0; file < files; file += 1) {
    const size = Math.min(400_000, Math.max(40, Math.round(logNormal(random, 800, 1.72))));
    const mode = file % 50 === 0 ? 0o755 : 0o644;
    writeFileSync(join(folder, places[file % places.length] ?? '', `${makeWord(random)}-${file}.js`), makeText(random, words, size), { mode });
  }
}

function makeWord(random: Random): string {
  const parts = ['con', 'ser', 'ta', 'ble', 'map', 're', 'quest', 'obs', 'str', 'eam', 'no', 'de', 'in', 'dex', 'val', 'ue', 'for', 'mat', 'pa', 'th'];
  return Array.from({ length: 2 + Math.floor(random() * 3) }, () => parts[Math.floor(random() * parts.length)]).join('');
}

function makeText(random: Random, words: readonly string[], size: number): string {
  const word = () => words[Math.floor(words.length * random() ** 3)] ?? '';
  const kinds: readonly (() => string)[] = [
    () => `  const ${word()} = ${word()}.${word()}(${word()}, ${Math.floor(random() * 100)});`,
    () => `  if (${word()} === undefined) return ${word()};`,
    () => `  /** The ${word()} of the ${word()}, as ${word()} wants it. */`,
    () => `export function ${word()}(${word()}) {`,
    () => '}',
    () => `import { ${word()} } from './${word()}.js';`,
  ];
  const lines: string[] = [];
  for (let length = 0; length < size; length += (lines.at(-1)?.length ?? 0) + 1) lines.push(kinds[Math.floor(random() * kinds.length)]?.() ?? '');
  return lines.join('\n').slice(0, size);
}

/** A line more in one file, another one each time. Looks for it now, and writes when it is called. */
export function editOneSource(folder: string, round: number): () => void {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && entry.name.endsWith('.js'));
  const file = files.map((entry) => join(entry.parentPath, entry.name)).sort()[(round * 37) % files.length] ?? '';
  const text = `// edit ${round}\n${readFileSync(file, 'utf8')}`;
  return () => writeFileSync(file, text);
}

/** Files of 15 to 45 KB in 100 folders, like small images. */
export function makeImages(folder: string, files: number): void {
  const random = createRandom('images');
  const noise = createNoise('images');
  for (let file = 0; file < files; file += 1) {
    const place = join(folder, `class-${file % 100}`);
    if (file < 100) mkdirSync(place, { recursive: true });
    writeFileSync(join(place, `image-${file}.jpg`), noise(15_000 + Math.floor(random() * 30_000)));
  }
}

/** One file that nothing can make smaller. */
export function makeNoiseFile(folder: string, bytes: number): void {
  mkdirSync(folder, { recursive: true });
  const noise = createNoise(`file of ${bytes}`);
  writePieces(join(folder, 'data.bin'), bytes, (most) => noise(most));
}

/** One file of comma-separated values: 2.7 times smaller packed, and no long piece of it comes twice. */
export function makeCsvFile(folder: string, bytes: number): void {
  mkdirSync(folder, { recursive: true });
  const random = createRandom('csv');
  const pieces = Array.from({ length: 64 }, (_, piece) => makeCsv(random, 1_700_000_000 + piece * 100_000));
  let count = 0;
  writePieces(join(folder, 'metrics.csv'), bytes, () => {
    const turn = count++;
    return Buffer.from((pieces[turn % pieces.length] ?? '').replaceAll(',sensor_', `,s${String(turn).padStart(5, '0')}_`), 'latin1');
  });
}

function makeCsv(random: Random, start: number): string {
  const lines: string[] = [];
  const states = ['OK', 'WARN', 'FAIL', 'OK', 'OK'];
  for (let time = start, line = 0; line < 14_000; line += 1) {
    time += 1 + Math.floor(random() * 9);
    const value = (20 + (random() + random() + random() - 1.5) * 8).toFixed(4);
    const id = Math.floor(random() * 2 ** 40).toString(16);
    lines.push(`${time},sensor_${Math.floor(random() * 400)},${value},${(random() * 100).toFixed(2)},${states[Math.floor(random() * 5)]},${id}`);
  }
  return `${lines.join('\n')}\n`;
}

function writePieces(file: string, bytes: number, next: (most: number) => Buffer): void {
  const to = openSync(file, 'w');
  for (let left = bytes; left > 0; ) {
    const piece = next(Math.min(left, 8 * mebi)).subarray(0, left);
    left -= writeSync(to, piece);
  }
  closeSync(to);
}

/** Another file in its place, as programs save: ten bytes in front, 1 MB changed in the middle. Its size grows by ten bytes. */
export function editInside(folder: string, round: number): void {
  const file = join(folder, 'data.bin');
  const saved = join(dirname(folder), 'data.saving');
  const size = statSync(file).size;
  const middle = Math.floor(size / 2);
  const [from, to] = [openSync(file, 'r'), openSync(saved, 'w')];
  writeSync(to, `edit ${String(round).padStart(4, '0')}\n`.slice(0, 10));
  const buffer = Buffer.alloc(8 * mebi);
  for (let at = 0; at < size; ) {
    const read = readSync(from, buffer, 0, buffer.length, at);
    writeSync(to, buffer.subarray(0, read));
    at += read;
  }
  writeSync(to, createNoise(`edit ${round}`)(Math.min(mebi, size - middle)), 0, undefined, middle);
  closeSync(from);
  closeSync(to);
  renameSync(saved, file);
}

/** The one file, in a folder that is new. */
export function moveIt(folder: string, round: number): void {
  const [name = ''] = readdirSync(folder);
  const to = join(folder, `moved-${round}`);
  mkdirSync(to);
  const isFolder = statSync(join(folder, name)).isDirectory();
  const [file = ''] = isFolder ? readdirSync(join(folder, name)) : [name];
  renameSync(isFolder ? join(folder, name, file) : join(folder, file), join(to, `data-${round}.bin`));
  if (isFolder) rmdirSync(join(folder, name));
}
