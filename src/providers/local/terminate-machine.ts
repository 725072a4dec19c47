/** Ends a local machine with everything that it has started, and removes its folder. */
import type { Clock } from '../../core/clock.ts';
import type { Termination } from '../../core/machine.ts';
import { isAlive } from '../../core/process-identity.ts';
import { folderOf, readMachineFile, removeFolder } from './machine-folder.ts';
import { endGraceMs, endProcesses, signalProcess } from './process-tree.ts';

/** What the machine's own process gets to end the others and itself, before that is done from here. */
const endsItselfWithinMs = endGraceMs + 3_000;
const lookEveryMs = 15;

/**
 * The machine's own process may be alive, killed, or not written down yet: its processes are found by their mark in any case.
 * Looks for processes after the folder is gone, too: one that was starting in between ends by itself when it finds no folder.
 */
export async function terminateMachine(home: string, id: string, clock: Clock, signal?: AbortSignal): Promise<Termination> {
  const folder = folderOf(home, id);
  if (folder === null) return { state: 'gone', leftovers: [] };
  await askToEnd(folder, clock, signal);
  const survivors = await endProcesses(id, { clock, graceMs: endGraceMs, signal });
  if (survivors.length > 0) {
    const pids = survivors.map(({ pid }) => pid).join(' ');
    return { state: 'ending', leftovers: [`processes of the local machine '${id}' that do not die: kill -9 ${pids}`] };
  }
  try {
    await removeFolder(folder);
  } catch (error) {
    return { state: 'gone', leftovers: [`the folder of the local machine '${id}' (${error instanceof Error ? error.message : error}): rm -rf '${folder}'`] };
  }
  await endProcesses(id, { clock, graceMs: endGraceMs, signal });
  return { state: 'gone', leftovers: [] };
}

/** Jobs get one SIGTERM, from the machine, and not a second one from here while they save their work. */
async function askToEnd(folder: string, clock: Clock, signal?: AbortSignal): Promise<void> {
  const holder = readMachineFile(folder, 'process.json');
  if (holder === null || !isAlive(holder)) return;
  signalProcess(holder, 'SIGTERM');
  for (const until = clock.now() + endsItselfWithinMs; isAlive(holder) && clock.now() < until; ) await clock.sleep(lookEveryMs, signal);
}
