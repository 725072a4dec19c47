/**
 * Links: processes on this computer that keep connections to machines warm between commands (`src/link`). Everything works without
 * them. One a machine, started by commands that are done with it, ended by itself.
 */
import { spawn } from 'node:child_process';
import { linkPlace } from '../link/place.ts';
import { serveLink } from '../link/serve-link.ts';
import { keepSpare } from '../link/spare.ts';
import { installRunner } from '../runner/install.ts';
import type { RunContext } from './context.ts';
import { createPusher } from './link-push.ts';
import { isLocked, takeLock } from './lock-file.ts';

/** How long a link stays without a caller, milliseconds. */
const idleMs = 600_000;

/** For the machine of that name, if it is up and has none. Does not wait for it, and never fails. */
export function startLink(name: string, context: RunContext): void {
  const { home, ledger, links, program } = context;
  const machine = ledger.list({ name, live: true })[0];
  if (links === undefined || machine?.state !== 'ready' || linkPlace(home.links, machine.id) === null) return;
  if (isLocked(home.scratch, lockName(machine.id))) return;
  const [node = '', ...words] = program;
  const child = spawn(node, [...words, 'link', machine.id], { cwd: home.root, detached: true, stdio: 'ignore' });
  child.on('error', () => {}); // the next command tries it again
  child.unref();
}

/**
 * Until nobody has used it for a while, the machine or the connection ends, or another version asks. Returns why it ended, in words;
 * at once where there is another one already.
 * @throws GpuRunError what keeps it from connecting
 */
export async function keepLink(machineId: string, context: RunContext): Promise<string> {
  const { clock, home, ledger, links, runner, self, signal } = context;
  const machine = ledger.get(machineId);
  const place = linkPlace(home.links, machineId);
  const isOver = () => ledger.get(machineId)?.state !== 'ready';
  if (links === undefined || place === null || machine === null || isOver()) return 'there is nothing to link to';
  using lock = takeLock(home.scratch, lockName(machineId), self);
  if (lock === null) return 'there is another one';
  const { connector, transport } = await links.open(machine);
  try {
    await connector.connect(signal);
    const installed = await installRunner(transport, runner, machineId, { signal });
    const spare = keepSpare(installed, connector.start, isOver);
    try {
      await using pusher = createPusher(machine, transport, installed, context);
      return await serveLink({ place, version: runner.version, connector, spare, more: { push: pusher.push }, idleMs, isOver, clock, signal });
    } finally {
      spare.close();
    }
  } finally {
    await connector.close();
  }
}

function lockName(machineId: string): string {
  return `link-${machineId}`;
}
