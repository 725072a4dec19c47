/**
 * Provider `gcp`: machines of Google Compute Engine. May import core and the provider interface; Google's client library is loaded by
 * `api/` alone, at the first call.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import { GpuRunError, toGpuRunError } from '../../core/errors.ts';
import { labelKeys, type MachineRef } from '../../core/machine.ts';
import type { ResourceNeed } from '../../core/offer.ts';
import type { ConsoleLog, LaunchPlan, Provider, ProviderTraits } from '../provider.ts';
import { untilAborted } from './api/repeat-call.ts';
import { appraiseInstance } from './appraise.ts';
import type { Catalogue } from './catalogue/catalogue.ts';
import { describeInstance } from './describe-instance.ts';
import type { GceApi } from './gce-api.ts';
import type { Image } from './gce-resources.ts';
import type { Account, Accounts } from './gcp-account.ts';
import { type GcpOptions, readGcpOptions } from './gcp-options.ts';
import { findImage } from './images.ts';
import { eachInWords, inWords, inWordsOfMachine } from './in-words.ts';
import { diskGbFor } from './instance-body.ts';
import { deleteCommand, type InstanceRef, readInstanceRef } from './instance-ref.ts';
import { launchInstance } from './launch-instance.ts';
import { listOfAccounts } from './list-accounts.ts';
import type { LoginUser } from './login-user.ts';
import { orderId } from './order-id.ts';
import { terminateInstance } from './terminate-instance.ts';
import type { WayIn } from './way-in.ts';

export interface GcpProviderParts {
  readonly accounts: Accounts;
  /** The id of an account's project; null: not known, or there are no credentials. Asks nobody. */
  readonly project: (account: Account) => string | null;
  /** Prices, machine types and quota of an account's project. */
  readonly catalogue: (account: Account) => Catalogue;
  /** Whether the environment has credentials of its own. */
  readonly hasCredentials: () => Promise<boolean>;
  /** Whether the environment names a project. */
  readonly namesProject: () => boolean;
  /** What the user should know and nothing fails for. */
  readonly warn: (text: string) => void;
  readonly clock: Clock;
  readonly wayIn: WayIn;
  readonly loginUser: LoginUser;
  /** A stream to a machine without a public address. */
  readonly openTunnel: (api: GceApi, to: Readonly<Record<string, unknown>>, signal: AbortSignal) => Promise<Duplex>;
}

/** Billed by the second, one minute at least; a stopped machine's disk bills on. */
const traits: ProviderTraits = {
  deadline: 'native',
  hostKeys: 'published',
  endsIdle: false,
  switchesOff: true,
  stop: 'billed',
  idempotentLaunch: true,
  spot: true,
  billingIncrementSeconds: 1,
  billingMinimumSeconds: 60,
  borrowed: false,
};

export function createGcpProvider(parts: GcpProviderParts): Provider {
  const { accounts, catalogue, clock } = parts;
  const images = new Map<string, Promise<Image>>();
  /** By the request id of a plan: how many of its orders have come to nothing. */
  const ordersOver = new Map<string, number>();

  /** Asked once in a process: forty machines that start together boot from the same. */
  const imageFor = (api: GceApi, options: GcpOptions, withGpu: boolean): Promise<Image> => {
    const key = JSON.stringify([api.project, options.images, withGpu]);
    let image = images.get(key);
    if (image === undefined) {
      image = findImage(api, options.images, withGpu);
      images.set(key, image);
      image.catch(() => images.delete(key));
    }
    return image;
  };

  /** Whoever names a project wants it looked at, with or without credentials: that these are missing must not look like an empty project. */
  const toList = async (): Promise<readonly Account[]> => {
    const own: Account[] = parts.namesProject() || (await parts.hasCredentials()) ? [{ project: null, credentialsFile: null }] : [];
    return [...own, ...accounts.remembered()];
  };

  return {
    id: 'gcp',
    traits,

    async *offers(need, signal) {
      signal?.throwIfAborted();
      if (need.nodes > 1) return;
      const options = readGcpOptions(need.providerOptions);
      if (options.credentialsFile === null && !(await parts.hasCredentials()))
        parts.warn('There are no Google credentials: prices are from the list that ships with gpu-run, and what can be had is not known');
      checkProvisioning(need, options);
      yield* eachInWords(
        catalogue(accountOf(options)).offers(
          need,
          { diskGb: diskGbFor(need), diskType: options.diskType, publicIp: publicIpOf(need, options), provisioning: options.provisioning },
          signal,
        ),
      );
    },

    async launch(plan, signal) {
      signal?.throwIfAborted();
      const options = readGcpOptions(plan.need.providerOptions);
      const publicIp = publicIpOf(plan.need, options);
      const { api, image } = await beforeOrder(async () => {
        const api = await accounts.api(accountOf(options));
        accounts.remember({ project: api.project, credentialsFile: options.credentialsFile });
        const image = imageFor(api, options, plan.need.gpu !== undefined); // for others as well: it goes on
        return { api, image: await (signal === undefined ? image : untilAborted(image, signal)) };
      });
      const round = ordersOver.get(plan.requestId) ?? 0;
      const requestId = orderId(plan.requestId, round);
      const onSpent = () => void ordersOver.set(plan.requestId, round + 1);
      const order = { api, plan, requestId, onSpent, options, publicIp, image, now: clock.now(), clock, signal };
      const launched = await inWords(() => launchInstance(order), { project: api.project });
      const { instanceId, image: bootedFrom, network } = launched;
      const ref = refTo(plan, options, { project: api.project, instanceId, image: bootedFrom, ...(network === null ? {} : { network }) });
      await parts.wayIn.open(api, readInstanceRef(ref), signal);
      return { ...ref, createdAt: Date.parse(launched.createdAt) };
    },

    /** With the project as it is now: whoever finds the order again may have another environment. */
    expect(plan) {
      const options = readGcpOptions(plan.need.providerOptions);
      const project = parts.project(accountOf(options));
      return refTo(plan, options, project === null ? {} : { project });
    },

    async describe(ref, signal) {
      signal?.throwIfAborted();
      const instance = readInstanceRef(ref);
      const deadline = Number(ref.labels[labelKeys.expires] ?? Number.POSITIVE_INFINITY) * 1000;
      return inWordsOfMachine(async () =>
        describeInstance({ api: await accounts.api(instance), ref: instance, deadline, now: clock.now(), loginUser: parts.loginUser, signal }),
      );
    },

    async terminate(ref, signal) {
      signal?.throwIfAborted();
      const instance = readInstanceRef(ref);
      const api = await withCommand(instance, () => accounts.api(instance));
      const termination = await withCommand(instance, () => terminateInstance(api, instance, signal));
      await parts.wayIn.close(api, instance);
      return termination;
    },

    /** In every project that machines were made in from this computer, and in the one that the environment names. */
    async *list(owner, signal) {
      signal?.throwIfAborted();
      yield* listOfAccounts(accounts, await toList(), owner, signal, !parts.namesProject());
    },

    isSetUp: async () => (await toList()).length > 0,

    async check(need, signal) {
      const account = accountOf(readGcpOptions(need.providerOptions));
      return await inWords(async () => {
        const api = await accounts.api(account);
        await api.getProject(signal);
        return `project ${api.project}${api.account === null ? '' : ` as ${api.account}`}`;
      });
    },
    alsoListIn(providerOptions) {
      const account = accountOf(readGcpOptions(providerOptions));
      if (account.project !== null || account.credentialsFile !== null) accounts.remember(account);
    },
    appraise: (ref, signal) => inWords(() => appraiseInstance(ref, catalogue(accountOfRef(ref)), clock.now(), signal)),
    placeOf: ({ data: { project, zone } }) => (typeof project === 'string' && typeof zone === 'string' ? `${project}/${zone}` : null),
    endByHand: (ref) => deleteCommand(readInstanceRef(ref)),
    async letIn(ref, signal) {
      const instance = readInstanceRef(ref);
      return await parts.wayIn.open(await inWords(() => accounts.api(instance)), instance, signal);
    },
    console: consoleOf(accounts),
    tunnel: { open: (to, signal) => inWords(async () => parts.openTunnel(await accounts.api(tunnelAccount(to)), to, signal)) },
  };
}

/** Whoever can't end a machine by us, for want of credentials or for whatever reason, is told how it is done by hand. */
async function withCommand<T>(instance: InstanceRef, work: () => Promise<T>): Promise<T> {
  try {
    return await inWords(work);
  } catch (error) {
    const command = deleteCommand(instance);
    if (!(error instanceof GpuRunError) || error.hints.includes(command)) throw error;
    const { code, message, hints, retry, elsewhere, backOff, cause } = error;
    throw new GpuRunError(code, message, { hints: [...hints, command], retry, elsewhere, backOff, cause });
  }
}

/** Whatever fails here, nothing was ordered. */
async function beforeOrder<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await inWords(work);
  } catch (error) {
    const { code, message, hints, retry, elsewhere } = toGpuRunError(error);
    throw new GpuRunError(code, message, { hints, retry, elsewhere, leftBehind: 'nothing', cause: error });
  }
}

function consoleOf(accounts: Accounts): ConsoleLog {
  return {
    async tail(ref, lines, signal) {
      const instance = readInstanceRef(ref);
      const text = await inWords(async () => (await accounts.api(instance)).serialOutput(instance.zone, instance.name, signal));
      const said = text.split(/\r?\n/).filter((line) => line.trim() !== '');
      return said.length === 0 ? null : said.slice(-lines).join('\n');
    },
  };
}

function accountOf({ project, credentialsFile }: GcpOptions): Account {
  return { project, credentialsFile };
}

function accountOfRef(ref: MachineRef): Account {
  const { project, credentialsFile } = readInstanceRef(ref);
  return { project, credentialsFile };
}

function tunnelAccount(to: Readonly<Record<string, unknown>>): Account {
  const text = (key: string) => (typeof to[key] === 'string' ? to[key] : null);
  return { project: text('project'), credentialsFile: text('credentialsFile') };
}

/** One of the two would be ignored, and both decide over the price. */
function checkProvisioning({ spot }: ResourceNeed, { provisioning }: GcpOptions): void {
  if (!spot || provisioning === null || provisioning === 'spot') return;
  throw new GpuRunError('bad-input', `A Spot machine is asked for, and 'gcp.provisioning' says ${provisioning}: only one of them can be.`, {
    hints: ['Say --no-spot, or take provisioning out of the gcp block of gpu-run.yaml.'],
  });
}

function publicIpOf(need: ResourceNeed, options: GcpOptions): boolean {
  return need.publicIp ?? options.publicIp;
}

function refTo(plan: LaunchPlan, options: GcpOptions, known: { project?: string; instanceId?: string; image?: string; network?: string }): MachineRef {
  const { id, name, labels, offer, need, sshPublicKey } = plan;
  const { credentialsFile, network, user, allowFrom } = options;
  const data = {
    project: options.project,
    zone: offer.zone,
    credentialsFile,
    network,
    sshPublicKey,
    user,
    allowFrom,
    publicIp: publicIpOf(need, options),
    ...known,
  };
  return { provider: 'gcp', id, name, labels, createdAt: null, data };
}
