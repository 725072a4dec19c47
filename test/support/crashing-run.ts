/**
 * One gpu-run that kills itself with SIGKILL at one step: `crashing-run.ts ORDER`, an order of `crash-order.ts` as JSON. The real workflow, with a
 * real ledger, Google's client library and SSH; only the command line around it is left out, as it would double the time. It prints each
 * step as it comes, the one that it dies at included.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { homePaths, prepareHome } from '../../src/config/home.ts';
import { systemClock } from '../../src/core/clock.ts';
import { ownIdentity } from '../../src/core/process-identity.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite-ledger.ts';
import { openGcp } from '../../src/providers/gcp/open-gcp.ts';
import { createRegistry } from '../../src/providers/registry.ts';
import { connectTransport } from '../../src/transport/connect.ts';
import type { RunContext } from '../../src/workflows/context.ts';
import { down } from '../../src/workflows/down.ts';
import { extend } from '../../src/workflows/extend.ts';
import { train } from '../../src/workflows/train.ts';
import { up } from '../../src/workflows/up.ts';
import { type CrashOrder, extendable, extension, trainInput, upInput } from './crash-order.ts';
import { watchLedger, watchRequests, watchTransport } from './crash-steps.ts';

const order = JSON.parse(process.argv[2] ?? '') as CrashOrder;
let steps = 0;
const onStep = (step: string) => {
  writeSync(1, `${step}\n`);
  if (++steps === order.killAt || step === order.killAt) process.kill(process.pid, 'SIGKILL');
};

watchRequests(onStep);
const home = homePaths(order.root);
prepareHome(home);
const clock = systemClock;
const provider = openGcp({
  env: order.env,
  platform: process.platform,
  clock,
  state: join(order.root, 'gcp'),
  cache: join(order.root, 'gcp-cache'),
  warn: () => {},
});
const context: RunContext = {
  providers: createRegistry({ gcp: async () => extendable(provider) }),
  ledger: watchLedger(openSqliteLedger(home.ledger, clock), onStep),
  connect: ({ id, access }) => {
    if (access === null) throw new Error('a machine without an address');
    return watchTransport(connectTransport({ access, identityFile: join(home.keys, id), scratch: home.scratch }), onStep);
  },
  runner: { file: order.runner, version: 'test-1', cache: home.cache },
  program: [process.execPath, '/nowhere/bin/run.js'],
  reporter: { report: () => {} },
  clock,
  signal: new AbortController().signal,
  home,
  self: ownIdentity(),
  owner: 'tester-1',
  user: 'tester',
  branch: null,
};

if (order.command === 'up') await up(upInput(false), context);
else if (order.command === 'down') await down({ names: ['cats'], all: false }, context);
else if (order.command === 'extend') await extend(extension, context);
else {
  const input = { ...trainInput('mkdir -p out && echo 7 > out/loss', order.project), outputs: ['out/'] };
  const { job } = await train(input, context, () => {});
  if (job.end?.code !== 0) throw new Error(`the job ended with ${JSON.stringify(job.end)}`);
}
context.ledger.close();
process.exit(0);
