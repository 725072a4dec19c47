/**
 * The runner: our supervisor on the machine, bundled into one file that runs on Node 20 and later. Imports `protocol` and Node's
 * own modules, nothing else.
 *
 *   runner.mjs version              says which it is: shows that this Node can run it
 *   runner.mjs connect --root DIR   one connection, on stdin and stdout
 *   runner.mjs serve --root DIR     the queue and its jobs
 *   runner.mjs watch --root DIR     the watchdog
 */
import { Socket } from 'node:net';
import { basename, dirname, isAbsolute } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { connect } from './connect.ts';
import { machineFolder } from './machine-folder.ts';
import { serve } from './serve.ts';
import { watch } from './watch.ts';

const script = fileURLToPath(import.meta.url);
/** The folder that the runner was installed into carries its version. */
const version = basename(dirname(script));

async function main([command, flag, root]: readonly string[]): Promise<number> {
  if (command === 'version') {
    process.stdout.write(`${version} node ${process.versions.node}\n`);
    return 0;
  }
  if ((command !== 'serve' && command !== 'connect' && command !== 'watch') || flag !== '--root' || root === undefined || !isAbsolute(root)) {
    process.stderr.write('usage: runner.mjs version | connect --root /DIR | serve --root /DIR | watch --root /DIR\n');
    return 64;
  }
  const machine = machineFolder(root);
  const complain = (text: string) => void process.stderr.write(text);
  if (command === 'serve') await serve(machine, script, version, complain);
  else if (command === 'watch') await watch(machine, script, version, complain);
  else await connect(machine, { input: process.stdin, output: openOutput(), script, version });
  return 0;
}

/** Node writes to a pipe on `process.stdout` in one blocking go, and would be deaf until a slow client has read it. */
function openOutput(): Writable {
  try {
    return new Socket({ fd: 1, readable: false, writable: true });
  } catch {
    return process.stdout;
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(70);
  },
);
