/** The life of one local machine, in its own process: starts the SSH server, waits for the end, ends all that it has started. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { ownIdentity } from '../../core/process-identity.ts';
import { deadlineOf, type MachineOrder, makeFolder, readMachineFile, writeMachineFile, writeOnce } from './machine-folder.ts';
import { endGraceMs, endProcesses, findProcesses, machineVariable } from './process-tree.ts';
import { startSshServer } from './ssh-server.ts';
import { watchMachine } from './watch-machine.ts';

/** Resolves when the machine has ended; `signal` ends it. Returns at once when the folder is no machine's or has its process already. */
export async function runMachine(folder: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const order = readMachineFile(folder, 'machine.json');
  if (order === null || !writeOnce(folder, 'process.json', ownIdentity())) return;
  let why: string;
  try {
    why = await serve(folder, order, clock, signal);
  } catch (error) {
    why = `it failed: ${error instanceof Error ? error.message : String(error)}`;
  }
  noteEnd(folder, 'ending.json', why, clock);
  await endAll(order.id, clock);
  noteEnd(folder, 'ended.json', why, clock);
}

async function serve(folder: string, order: MachineOrder, clock: Clock, signal: AbortSignal): Promise<string> {
  const home = join(folder, 'home');
  makeFolder(home);
  const server = await startSshServer({
    host: '127.0.0.1',
    port: 0,
    hostPrivateKey: order.hostPrivateKey,
    authorizedKey: order.sshPublicKey,
    user: order.user,
    home,
    shell: existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh',
    env: { ...order.env, ...temporaryFolder(folder), [machineVariable]: order.id },
  });
  writeMachineFile(folder, 'address.json', { port: server.port });
  const watched = {
    idleSeconds: order.idleSeconds,
    deadline: () => deadlineOf(folder, order),
    isBusy: () => server.users() > 0 || findProcesses(order.id).some(({ inJob }) => inJob),
    exists: () => existsSync(join(folder, 'machine.json')),
  };
  const why = await watchMachine(watched, clock, signal).catch((error: unknown) => {
    if (signal.aborted) return 'it was told to end';
    throw error;
  });
  server.close().catch(() => {}); // its connections end with the process at the latest
  return why;
}

/** A path that leaves no room for a unix socket's name below it (some 40 of 104 bytes) would break Python's multiprocessing. */
function temporaryFolder(folder: string): { TMPDIR?: string } {
  const path = join(folder, 'tmp');
  if (Buffer.byteLength(path) > 64) return {};
  makeFolder(path);
  return { TMPDIR: path };
}

/** What can't look for processes now (too many open files) looks again: to leave would let jobs run on with nobody to end them. */
async function endAll(machineId: string, clock: Clock): Promise<void> {
  for (;;) {
    try {
      await endProcesses(machineId, { clock, graceMs: endGraceMs });
      return;
    } catch {
      await clock.sleep(1_000);
    }
  }
}

/** Best effort: that the disk is full, or the folder gone, must not keep anything from ending. */
function noteEnd(folder: string, name: 'ending.json' | 'ended.json', why: string, clock: Clock): void {
  try {
    writeMachineFile(folder, name, { why, at: clock.now() });
  } catch {
    // Without the note a look at the machine tells from its process alone that it has ended.
  }
}
