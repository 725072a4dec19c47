/** What both ends of a sync take of memory, with a million files and with one that is larger than any memory. Over a real OpenSSH server. */
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { printRows } from './print-table.ts';
import type { Scene } from './sync/contender.ts';
import { openNetwork } from './sync/network.ts';
import { createMachine, type Machine } from './sync/ours.ts';

const lookEveryMs = 50;

/** The other end needs room for the large file. Among all benches, with little. */
export async function benchSyncMemory(_words: readonly string[], isOneOfAll: boolean): Promise<void> {
  const files = Number(process.env['BENCH_FILES'] ?? (isOneOfAll ? 1e4 : 1e6));
  const bytes = Number(process.env['BENCH_BYTES'] ?? (isOneOfAll ? 1e8 : 50e9));
  const root = mkdtempSync(join(process.env['BENCH_FOLDER'] ?? tmpdir(), 'gpu-run-bench-'));
  const farHome = join(root, 'far-home');
  mkdirSync(farHome);
  try {
    await using network = await openNetwork('loopback', false, root, farHome);
    const scene = (name: string): Scene => {
      const room = join(root, name);
      mkdirSync(join(room, 'tree'), { recursive: true });
      return { network, source: join(room, 'tree'), room, farRoom: room, signal: new AbortController().signal };
    };
    const many = await measureAll(
      scene('many'),
      `${files} files`,
      (source) => makeMany(source, files),
      (source) => appendFileSync(join(source, 'folder-7', 'file-7007.txt'), 'edited'),
    );
    const large = await measureAll(
      scene('large'),
      `one file of ${bytes / 1e9} GB`,
      (source) => makeLarge(source, bytes),
      (source) => changeInside(source, bytes),
    );
    printRows('Peak resident memory, MB', ['', '', 'this end', 'the other end', 's'], [...many, ...large]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function makeMany(source: string, files: number): void {
  for (let file = 0; file < files; file += 1) {
    const folder = join(source, `folder-${Math.floor(file / 1000)}`);
    if (file % 1000 === 0) mkdirSync(folder);
    writeFileSync(join(folder, `file-${file}.txt`), `content ${file}\n`);
  }
}

/** Sparse: what is not written takes no room here. */
function makeLarge(source: string, bytes: number): void {
  writeFileSync(join(source, 'large.bin'), 'begins');
  truncateSync(join(source, 'large.bin'), bytes);
}

function changeInside(source: string, bytes: number): void {
  const file = openSync(join(source, 'large.bin'), 'r+');
  writeSync(file, Buffer.alloc(1e6, 'changed'), 0, 1e6, Math.floor(bytes / 2));
  closeSync(file);
}

async function measureAll(scene: Scene, what: string, make: (source: string) => void, edit: (source: string) => void): Promise<string[][]> {
  make(scene.source);
  const machine = createMachine('cold', scene);
  await machine.up();
  const rows = [await measure(machine, scene, what, 'for the first time')];
  rows.push(await measure(machine, scene, what, 'nothing has changed'));
  edit(scene.source);
  rows.push(await measure(machine, scene, what, 'one edit'));
  await machine.down();
  return rows;
}

async function measure(machine: Machine, { network }: Scene, what: string, when: string): Promise<string[]> {
  const peaks = { here: 0, there: 0 };
  // By what their command lines begin with, and whose they are: other machines' runners are none of ours.
  const isOurs = (words: string) => words.includes('/bin/run.js sync');
  const isRunner = (words: string) => words.includes('/runner.mjs connect ') && words.includes(join(network.farHome, '.gpu-run'));
  const timer = setInterval(() => {
    peaks.here = Math.max(peaks.here, largest(isOurs, machine.home));
    peaks.there = Math.max(peaks.there, largest(isRunner));
  }, lookEveryMs);
  const start = performance.now();
  await machine.gpuRun('sync', '--quiet');
  clearInterval(timer);
  return [what, when, peaks.here.toFixed(0), peaks.there.toFixed(0), ((performance.now() - start) / 1000).toFixed(1)];
}

/** Megabytes; of all processes whose command line is such, and whose environment holds `variable`. */
function largest(isSuch: (words: string) => boolean, variable = ''): number {
  const ofAll = readdirSync('/proc').map((pid) => {
    if (!/^\d+$/.test(pid) || !isSuch(read(pid, 'cmdline').replaceAll('\0', ' '))) return 0;
    if (!read(pid, 'environ').includes(variable)) return 0;
    return Number(/VmHWM:\s+(\d+) kB/.exec(read(pid, 'status'))?.[1] ?? 0) / 1e3;
  });
  return Math.max(0, ...ofAll);
}

function read(pid: string, name: string): string {
  try {
    return readFileSync(join('/proc', pid, name), 'latin1');
  } catch {
    return '';
  }
}
