/** Makes a local machine's folder and starts its process. Killed at any point, it leaves only what `list` finds and `terminate` removes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { GpuRunError, systemErrorCode } from '../../core/errors.ts';
import type { LaunchPlan } from '../provider.ts';
import { newHostKey } from './host-key.ts';
import type { LocalProviderOptions } from './local-options.ts';
import { folderOf, logName, type MachineOrder, makeFolder, readMachineFile, removeFolder, writeOnce } from './machine-folder.ts';
import { machineVariable } from './process-tree.ts';

/**
 * The same plan again, also at the same moment, is the same machine: the first `machine.json` stays, and of several processes
 * all but the first end at once.
 * @throws GpuRunError `conflict` when another order has this id, `disk-full`, `not-allowed`, `unfit`
 */
export async function launchMachine(plan: LaunchPlan, options: LocalProviderOptions): Promise<MachineOrder> {
  const folder = folderOf(options.home, plan.id);
  if (folder === null) throw new GpuRunError('bad-input', `'${plan.id}' can't be a machine's id: it takes a-z, 0-9 and -.`);
  try {
    makeFolder(folder);
    const order = readMachineFile(folder, 'machine.json') ?? writeOrder(folder, plan, options);
    if (order.requestId !== plan.requestId) throw new GpuRunError('conflict', `There is a local machine '${plan.id}' already, from another request.`);
    if (readMachineFile(folder, 'process.json') === null) await startProcess(folder, order, options);
    return order;
  } catch (error) {
    if (error instanceof GpuRunError) throw error;
    if (readMachineFile(folder, 'process.json') === null) await removeFolder(folder).catch(() => {}); // what stays is found by `list`
    throw explain(error, folder);
  }
}

function writeOrder(folder: string, plan: LaunchPlan, options: LocalProviderOptions): MachineOrder {
  const hostKey = newHostKey();
  const order: MachineOrder = {
    id: plan.id,
    name: plan.name,
    labels: plan.labels,
    requestId: plan.requestId,
    createdAt: options.clock.now(),
    deadline: plan.deadline,
    idleSeconds: plan.idleSeconds,
    sshPublicKey: plan.sshPublicKey,
    hostPrivateKey: hostKey.privateKey,
    hostPublicKey: hostKey.publicKey,
    user: userInfo().username,
    env: options.env,
  };
  if (writeOnce(folder, 'machine.json', order)) return order;
  return readMachineFile(folder, 'machine.json') ?? order;
}

/** Returns once the process exists; it outlives us. It carries the machine's mark itself, so that it is found before it has written anything. */
async function startProcess(folder: string, order: MachineOrder, options: LocalProviderOptions): Promise<void> {
  const log = openSync(join(folder, logName), 'a', 0o600);
  try {
    const child = spawn(options.node, [options.machineProcess, folder], {
      cwd: '/',
      env: { ...options.env, [machineVariable]: order.id },
      detached: true,
      stdio: ['ignore', log, log],
    });
    await once(child, 'spawn');
    child.unref();
  } finally {
    closeSync(log);
  }
}

function explain(error: unknown, folder: string): GpuRunError {
  const said = error instanceof Error ? error.message : String(error);
  switch (systemErrorCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new GpuRunError('disk-full', `There is no space for the local machine's folder ${folder}: ${said}`, { cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new GpuRunError('not-allowed', `The local machine could not be made in ${folder}: ${said}`, { cause: error });
    case 'ENOTDIR':
    case 'EEXIST':
      return new GpuRunError('bad-input', `The local machine could not be made in ${folder}, there is a file in the way: ${said}`, { cause: error });
    default:
      return new GpuRunError('unfit', `The local machine's process could not be started: ${said}`, { cause: error });
  }
}
