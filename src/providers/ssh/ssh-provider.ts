/**
 * Provider `ssh`: hosts that are the user's own. Nothing is created or ended but our files and jobs, and those by the runner, so
 * there is no network here: whether the host can be reached is seen at the first connection. May import core and the provider interface.
 */
import type { Clock } from '../../core/clock.ts';
import { GpuRunError } from '../../core/errors.ts';
import type { Access, MachineStatus } from '../../core/machine.ts';
import type { Offer, ResourceNeed } from '../../core/offer.ts';
import type { Provider } from '../provider.ts';
import { readSshOptions, type SshOptions } from './ssh-options.ts';

export function createSshProvider({ clock }: { readonly clock: Clock }): Provider {
  return {
    id: 'ssh',
    traits: {
      deadline: 'watchdog',
      hostKeys: 'pinned',
      stop: 'none',
      endsIdle: false,
      idempotentLaunch: true,
      spot: false,
      billingIncrementSeconds: 1,
      borrowed: true,
    },

    async *offers(need, signal) {
      signal?.throwIfAborted();
      const options = readSshOptions(need.providerOptions);
      if (options !== null && !need.spot && need.regions.length === 0 && need.nodes === 1) yield offerOf(options, need, clock.now());
    },

    async launch(plan, signal) {
      signal?.throwIfAborted();
      const options = readSshOptions(plan.need.providerOptions);
      if (options === null) throw new GpuRunError('bad-input', "The provider 'ssh' needs a host.", { hints: ["In gpu-run.yaml: 'ssh: { host: gpu-box }'"] });
      return { provider: 'ssh', id: plan.id, name: plan.name, labels: plan.labels, createdAt: null, data: { access: accessOf(options) } };
    },

    /** The host is there as long as nobody says otherwise; who wants to know more connects. */
    async describe(ref, signal): Promise<MachineStatus> {
      signal?.throwIfAborted();
      const access = ref.data['access'];
      if (!isAccess(access)) return { state: 'gone', access: null, detail: 'the ledger holds no host for it', deadline: null };
      return { state: 'running', access, detail: null, deadline: null };
    },

    ownHost: (providerOptions) => {
      const options = readSshOptions(providerOptions);
      return options === null ? null : accessOf(options);
    },

    /** Nothing of the host is ours to end: our jobs and files are removed through the runner beforehand. */
    async terminate(_ref, signal) {
      signal?.throwIfAborted();
      return { state: 'gone', leftovers: [] };
    },

    /** Nothing exists that the ledger could have lost: a host has no labels, and without the ledger no address is known. */
    async *list(_owner, signal) {
      signal?.throwIfAborted();
      yield* [];
    },
  };
}

/** What the host has is not known before somebody connects: the GPU is offered as asked for, and the preflight checks it. */
function offerOf(options: SshOptions, need: ResourceNeed, now: number): Offer {
  return {
    provider: 'ssh',
    region: null,
    zone: null,
    type: `ssh:${options.host}`,
    gpu: need.gpu ?? null,
    spot: false,
    price: { perHour: options.pricePerHour, currency: 'USD' },
    asOf: now,
    source: options.pricePerHour === 0 ? 'your own host' : 'price-per-hour of the config',
    available: null,
  };
}

function accessOf({ host, port, user, hostKey, configFile, identityFile }: SshOptions): Access {
  return { kind: 'openssh', host, port, user, hostKey, configFile, identityFile };
}

function isAccess(value: unknown): value is Access {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'openssh' && 'host' in value && typeof value.host === 'string';
}
