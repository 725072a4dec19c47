/** See `standing.ts`: reads what to do from stdin, a word a line, and answers each with `done`, or with what went wrong. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { homePaths } from '../../src/config/home.ts';
import { openRunner, type RunnerClient } from '../../src/runner/client.ts';
import { installRunner } from '../../src/runner/install.ts';
import { watchTrees } from '../../src/sync/live-trees.ts';
import { prepareProject, pushPrepared } from '../../src/sync/push.ts';
import { connectTransport } from '../../src/transport/connect.ts';
import type { Transport } from '../../src/transport/transport.ts';
import type { Ask, StandingStart } from './standing.ts';

const start = JSON.parse(process.argv[2] ?? '') as StandingStart;
const { how, configFile, address, port, user, hostKey, identityFile, machine, source, home } = start;
const paths = homePaths(home);
const file = join(import.meta.dirname, '..', '..', 'dist', 'runner.mjs');
const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8')) as { version: string };
const runner = { file, cache: paths.cache, version: `${version}-${createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16)}` };
const signal = new AbortController().signal;
let transport: Transport | null = null;
let client: RunnerClient | null = null;
/** Trees that are watched, as the link does it. */
const live = how === 'openssh' ? watchTrees(() => {}) : null;

const asks: Record<Ask, () => Promise<void>> = {
  connect: async () => {
    const access =
      how === 'ssh2'
        ? ({ kind: 'own', host: address, port, user, hostKeys: [hostKey] } as const)
        : ({ kind: 'openssh', host: 'lab', port: null, user: null, hostKey: null, configFile, identityFile: null } as const);
    transport = connectTransport({ access, identityFile: how === 'ssh2' ? identityFile : null, scratch: join(paths.scratch, `bench-${process.pid}`) });
    await transport.connect(signal);
    client = await openRunner(transport, await installRunner(transport, runner, machine), { signal });
  },
  push: async () => {
    const open = client?.open;
    if (open === undefined) throw new Error('not connected');
    const project = { code: source, exclude: [], data: [], globalExcludes: null, never: [] };
    const preparing = prepareProject(project, paths.sync, signal, live ?? undefined);
    await pushPrepared(preparing, { open, cacheFolder: paths.sync, machine, outputs: [], live: live !== null });
  },
  disconnect: async () => {
    await client?.close();
    await transport?.close();
    client = null;
    transport = null;
  },
};

console.log('done');
for await (const line of createInterface({ input: process.stdin })) {
  try {
    await asks[line as Ask]();
    console.log('done');
  } catch (error) {
    console.log(String(error).replaceAll('\n', ' '));
  }
}
live?.close();
await asks.disconnect();
