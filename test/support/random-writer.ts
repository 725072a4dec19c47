/** A job that writes text and binary at random rates, and says itself what it wrote. For vitest files only. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Plain JavaScript without packages: any Node can run it. Arguments: seed, folder, exit code. */
const program = `
const fs = require('fs');
const { createHash } = require('crypto');
const { join } = require('path');
const [seed, folder, code] = process.argv.slice(2);
let state = Number(seed) | 0;
const random = () => { state = (state + 0x6d2b79f5) | 0; let t = Math.imul(state ^ (state >>> 15), 1 | state); t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t; return ((t ^ (t >>> 14)) >>> 0) / 4294967296; };
const sum = createHash('sha256');
let bytes = 0;
const write = (piece) => { sum.update(piece); bytes += piece.length; for (let at = 0; at < piece.length; ) at += fs.writeSync(1, piece, at); };
const text = () => Buffer.from(Array.from({ length: 1 + Math.floor(random() * 40) }, (_, n) => (random() < 0.02 ? 'loss=' : 'line ' + n + ' ') + random() + (random() < 0.2 ? '\\r' : '\\n')).join(''));
const binary = () => Buffer.from(Array.from({ length: 1 + Math.floor(random() * 5000) }, () => Math.floor(random() * 256)));
const large = () => Buffer.alloc(Math.floor(random() * 1500000), text());
const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
while (!fs.existsSync(join(folder, 'enough'))) {
  const kind = random();
  write(kind < 0.6 ? text() : kind < 0.97 ? binary() : large());
  if (random() < 0.5) sleep(random() * 30);
}
for (let n = 0; n < 50; n++) write(text());
write(binary());
fs.writeFileSync(join(folder, 'sum.new'), sum.digest('hex') + ' ' + bytes);
fs.renameSync(join(folder, 'sum.new'), join(folder, 'sum'));
process.exit(Number(code));
`;

export interface RandomWriter {
  readonly argv: readonly string[];
  /** It writes on and on until then. */
  finish(): void;
  /** What it says that it wrote; null: it has not ended. */
  wrote(): { readonly sha256: string; readonly bytes: number } | null;
}

/** `folder`: an empty one for its own use. */
export function randomWriter(folder: string, seed: number, code: number): RandomWriter {
  writeFileSync(join(folder, 'writer.cjs'), program);
  return {
    argv: [process.execPath, join(folder, 'writer.cjs'), String(seed), folder, String(code)],
    finish: () => writeFileSync(join(folder, 'enough'), ''),
    wrote: () => {
      if (!existsSync(join(folder, 'sum'))) return null;
      const [sha256 = '', bytes] = readFileSync(join(folder, 'sum'), 'utf8').split(' ');
      return { sha256, bytes: Number(bytes) };
    },
  };
}
