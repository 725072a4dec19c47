/**
 * Provider `local`: machines on this computer, each a detached process with its own SSH server on 127.0.0.1, its own host key
 * and its own home folder, so that `up`, `train` and `down` take the very path that a rented machine takes.
 * May import core and the provider interface (ssh2 in the machine's process alone); keeps everything below the folder that it is given.
 */
import { GpuRunError } from '../../core/errors.ts';
import { labelKeys, type MachineRef } from '../../core/machine.ts';
import type { Provider } from '../provider.ts';
import { describeMachine } from './describe-machine.ts';
import { findGpus } from './gpus.ts';
import { launchMachine } from './launch-machine.ts';
import { localOffer } from './local-offer.ts';
import type { LocalProviderOptions } from './local-options.ts';
import { deadlineOf, folderOf, type MachineOrder, machineIds, readMachineFile, writeMachineFile } from './machine-folder.ts';
import { terminateMachine } from './terminate-machine.ts';

export function createLocalProvider(options: LocalProviderOptions): Provider {
  const { home, clock } = options;
  return {
    id: 'local',
    traits: {
      deadline: 'native',
      hostKeys: 'preset',
      stop: 'none',
      endsIdle: true,
      idempotentLaunch: true,
      spot: false,
      billingIncrementSeconds: 1,
      borrowed: false,
    },

    async *offers(need, signal) {
      signal?.throwIfAborted();
      const offer = localOffer(need, await findGpus(options.env, signal), home, clock.now());
      if (offer !== null) yield offer;
    },

    async launch(plan, signal) {
      signal?.throwIfAborted();
      return refTo(await launchMachine(plan, options));
    },

    async describe(ref, signal) {
      signal?.throwIfAborted();
      return describeMachine(home, ref.id);
    },

    async terminate(ref, signal) {
      signal?.throwIfAborted();
      return terminateMachine(home, ref.id, clock, signal);
    },

    async extend(ref, deadline, signal) {
      signal?.throwIfAborted();
      const folder = folderOf(home, ref.id);
      if (folder === null || readMachineFile(folder, 'machine.json') === null)
        throw new GpuRunError('not-found', `The machine '${ref.name}' no longer exists.`);
      writeMachineFile(folder, 'deadline.json', { deadline });
    },

    /** Which of its GPUs a machine was given is not written down: what this computer has is said. */
    async appraise(_ref, signal) {
      return localOffer({ spot: false, regions: [], nodes: 1, providerOptions: {} }, await findGpus(options.env, signal), home, clock.now());
    },

    /** A folder that was never completed tells no owner. The home is one owner's, so it is the asker's. */
    async *list(owner, signal) {
      signal?.throwIfAborted();
      for (const id of machineIds(home)) {
        const folder = folderOf(home, id);
        if (folder === null) continue;
        const order = readMachineFile(folder, 'machine.json');
        if (order === null) yield halfMade(id, owner);
        else if (order.labels[labelKeys.owner] === owner) yield refTo(expiringAt(order, deadlineOf(folder, order)));
      }
    },
  };
}

/** Its label says what holds now. */
function expiringAt(order: MachineOrder, deadline: number): MachineOrder {
  return deadline === order.deadline ? order : { ...order, labels: { ...order.labels, [labelKeys.expires]: String(Math.floor(deadline / 1000)) } };
}

function refTo({ id, name, labels, createdAt }: MachineOrder): MachineRef {
  return { provider: 'local', id, name, labels, createdAt, data: {} };
}

function halfMade(id: string, owner: string): MachineRef {
  const name = id.replace(/-[^-]*$/, '');
  return { provider: 'local', id, name, labels: { [labelKeys.owner]: owner, [labelKeys.machine]: id, [labelKeys.name]: name }, createdAt: null, data: {} };
}
