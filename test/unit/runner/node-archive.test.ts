/** The cache of programs that are brought to machines. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ownNode, type ProgramArchive } from '../../../src/runner/node-archive.ts';
import type { LinuxArch } from '../../../src/runner/node-pin.ts';

const arch = process.arch as LinuxArch;
const { execPath } = process;
const program = Buffer.from('A program that is no program. '.repeat(50_000));
let folder: string;
let cache: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-archive-'));
  cache = join(folder, 'cache');
  process.execPath = join(folder, 'node');
  writeFileSync(process.execPath, program);
});
afterEach(() => {
  process.execPath = execPath;
  rmSync(folder, { recursive: true, force: true });
});

function expectProgram(archive: ProgramArchive | null): void {
  const content = readFileSync(archive?.file ?? '');
  expect(gunzipSync(content).equals(program)).toBe(true);
  expect(archive).toMatchObject({ bytes: content.length, unpackedBytes: program.length, sha256: createHash('sha256').update(program).digest('hex') });
}

test('several machines that are made ready at once each get theirs, and nothing else is left', async () => {
  for (const archive of await Promise.all([1, 2, 3].map(() => ownNode(arch, cache)))) expectProgram(archive);
  expect(readdirSync(cache)).toEqual([expect.stringMatching(/-own\.gz$/), expect.stringMatching(/-own\.gz\.json$/)]);
});

test.each([
  ['short', (file: string) => truncateSync(file, 1000)],
  ['full of zeros', (file: string) => writeFileSync(file, Buffer.alloc(readFileSync(file).length))],
  ['without its description', (file: string) => truncateSync(`${file}.json`, 0)],
])('what a crash of this computer left %s is made anew', async (_, crash) => {
  const first = await ownNode(arch, cache);
  crash(first?.file ?? '');
  expectProgram(await ownNode(arch, cache));
});
