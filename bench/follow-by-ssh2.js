/**
 * A program of the bench: follows one job over an `ssh2` connection, as `gpu-run logs --follow` does on machines that it made: keeps
 * a copy, writes to stdout. Its one argument is JSON.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSink } from '../src/cli/sink.ts';
import { systemClock } from '../src/core/clock.ts';
import { openRunner } from '../src/runner/client.ts';
import { followJob } from '../src/runner/follow.ts';
import { installRunner } from '../src/runner/install.ts';
import { connectTransport } from '../src/transport/connect.ts';
import { JobCopy } from '../src/workflows/write-copy.ts';

const { port, user, hostKey, identityFile, machine, job, scratch } = JSON.parse(process.argv[2] ?? '');
const file = join(import.meta.dirname, '..', 'dist', 'runner.mjs');
const version = `0.1.0-${createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16)}`;
const signal = new AbortController().signal;
const transport = connectTransport({
  access: { kind: 'own', host: '127.0.0.1', port, user, hostKeys: [hostKey] },
  identityFile,
  scratch: join(scratch, 'ssh2'),
});
const installed = await installRunner(transport, { file, version }, machine);
const runner = await openRunner(transport, installed, { signal });
const copy = new JobCopy(join(scratch, 'home', 'jobs'), job);
const sink = openSink(process.stdout);
const keep = ({ stream, offset, bytes }) => {
  const written = sink.write(bytes);
  copy.writeLog(stream, offset, bytes);
  return written;
};
let isBusy = false;
const parts = followJob({
  connect: async () => runner,
  release: async () => process.exit(1),
  jobId: job,
  logOffset: 0,
  record: 0,
  follow: true,
  clock: systemClock,
  signal,
  onLink: () => {},
  takeLog: (part) => {
    if (isBusy) return false;
    isBusy = true;
    keep(part).then(() => {
      isBusy = false;
    });
    return true;
  },
});
for await (const part of parts) if (part.type === 'log') await keep(part);
await sink.flush();
process.exit(0);
