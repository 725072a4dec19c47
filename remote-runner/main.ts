/**
 * The runner: our supervisor on the machine, bundled into one file that runs on Node 20 and later. Imports `protocol` and Node's
 * own modules, nothing else.
 *
 *   runner.mjs version              says which it is: shows that this Node can run it
 *   runner.mjs connect --root DIR   one connection, on stdin and stdout; with --standby behind it one that may wait for hours
 *   runner.mjs serve --root DIR     the queue and its jobs
 *   runner.mjs watch --root DIR     the watchdog
 *   runner.mjs nvml FILE MS WHAT    readings of the GPUs, for one of the others
 */
import { Socket } from 'node:net';
import { basename, dirname, isAbsolute } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { standbyWord } from '../src/protocol/standby.ts';
import { connect } from './connect.ts';
import { readText } from './durable.ts';
import { machineFolder } from './machine-folder.ts';
import { watchNvml } from './nvml-watch.ts';
import { serve } from './serve.ts';
import { watch } from './watch.ts';

const script = fileURLToPath(import.meta.url);
/** The folder that the runner was installed into carries its version. */
const version = basename(dirname(script));

async function main(argv: readonly string[]): Promise<number> {
  const [command, flag, root, last] = argv;
  if (command === 'version') {
    process.stdout.write(`${version} node ${process.versions.node}\n`);
    return 0;
  }
  if (command === 'nvml' && argv.length === 4) {
    await lookAtGpus(argv.slice(1));
    return 0;
  }
  if ((command !== 'serve' && command !== 'connect' && command !== 'watch') || flag !== '--root' || root === undefined || !isAbsolute(root)) {
    process.stderr.write('usage: runner.mjs version | connect --root /DIR [--standby] | serve --root /DIR | watch --root /DIR\n');
    return 64;
  }
  const machine = machineFolder(root);
  const complain = (text: string) => void process.stderr.write(text);
  if (command === 'serve') await serve(machine, script, version, complain);
  else if (command === 'watch') await watch(machine, script, version, complain);
  else {
    const onWork = last === standbyWord ? showingWork(root) : () => {};
    if (onWork === null) return 64;
    await connect(machine, { input: process.stdin, ...openOutput(), script, version, onWork });
  }
  return 0;
}

/**
 * Whoever looks at the machine's processes tells from the command line who waits and who works. It can't become longer than it was, so the
 * folders of its first words go. null: it can't be changed (Bun), and who works would pass for one who waits.
 */
function showingWork(root: string): ((works: boolean) => void) | null {
  const working = `${basename(script)} connect --root ${root}`;
  const show = (works: boolean) => {
    process.title = works ? working : `${working} ${standbyWord}`;
  };
  show(true);
  const isShown = readText('/proc/self/cmdline')?.startsWith(`${working}\0`) ?? true;
  show(false);
  return isShown ? show : null;
}

async function lookAtGpus([koffiFile = '', everyMs = '', what = '']: readonly string[]): Promise<void> {
  process.stdin.on('close', () => process.exit(0)).resume();
  process.stdout.on('error', () => process.exit(0));
  await watchNvml({ koffiFile, everyMs: Number(everyMs), withProcesses: what === 'processes' }, (line) => void process.stdout.write(line));
}

/** Node writes to a pipe on `process.stdout` in one blocking go, and would be deaf until a slow client has read it. */
function openOutput(): { readonly output: Writable; readonly outputFd?: number } {
  try {
    return { output: new Socket({ fd: 1, readable: false, writable: true }), outputFd: 1 };
  } catch {
    return { output: process.stdout };
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(70);
  },
);
