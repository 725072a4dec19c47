/** Orders a machine and waits until Google says that it exists. A failure leaves nothing behind, or says that it may have. */
import type { Clock } from '../../core/clock.ts';
import { GpuRunError, toGpuRunError } from '../../core/errors.ts';
import type { LaunchPlan } from '../provider.ts';
import { sshKeysMetadata } from './access/ssh-keys.ts';
import { startupScript } from './access/startup-script.ts';
import { type GceMachine, machineTypeFacts } from './catalogue/machine-type.ts';
import { clearOrder, isOfPlan } from './clear-order.ts';
import { explainFailure, type FailurePlace } from './failure.ts';
import type { GceApi } from './gce-api.ts';
import { GceError } from './gce-error.ts';
import type { Image, Instance, InstanceBody, MetadataItem, Operation } from './gce-resources.ts';
import type { GcpOptions } from './gcp-options.ts';
import { instanceBody, isQueued, queueSeconds, zoneOf } from './instance-body.ts';
import { lastOf, regionOf } from './instance-ref.ts';
import { timeLimit } from './time-limit.ts';

/** From the accepted order until Google says done: a stock-out is known within seconds, a busy zone may take minutes. */
const orderedWithinMs = 5 * 60_000;
/** After an interruption, for the answer to an order that is on its way: what is not known yet can't be ended. */
const answeredWithinMs = 15_000;

export interface Launched {
  readonly instanceId: string;
  /** RFC 3339, by Google's clock. */
  readonly createdAt: string;
  readonly image: string;
  /** Name; null: Google does not say. Rules of firewalls belong to it. */
  readonly network: string | null;
}

export interface LaunchParts {
  readonly api: GceApi;
  readonly plan: LaunchPlan;
  /** The plan's, or one that follows it. */
  readonly requestId: string;
  /** The order is over, and there is nothing of it: another one needs another request id. */
  readonly onSpent: () => void;
  readonly options: GcpOptions;
  readonly publicIp: boolean;
  readonly image: Image;
  readonly now: number;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

/** @throws GpuRunError with `retry` and `elsewhere` as the failure tells; GceError when what was made can't be looked at */
export async function launchInstance(parts: LaunchParts): Promise<Launched> {
  const { api, plan, requestId } = parts;
  const machine = machineTypeFacts(plan.offer.type, plan.offer.gpu);
  if (machine === null) throw new GpuRunError('internal', `an offer with the machine type ${plan.offer.type} was made, of which nothing is known`);
  const zone = zoneOf(plan.offer);
  const place: FailurePlace = {
    project: api.project,
    zone,
    region: regionOf(zone),
    type: plan.offer.type,
    gpu: machine.gpu?.name ?? null,
    spot: plan.offer.spot,
  };
  const body = bodyOf(parts, machine);
  let ordered: Operation;
  try {
    using patience = patient(parts);
    ordered = await api.insertInstance(zone, body, requestId, patience.signal);
  } catch (error) {
    return await settleRefused(error, parts, place);
  }
  const done = await untilDone(ordered, parts, place);
  if (done.error !== undefined && done.error.errors.length > 0) {
    parts.onSpent();
    const refused = explainFailure(done, place);
    if (refused.leftBehind === 'nothing') throw refused; // out of stock, no quota: Google has made nothing
    await clear(parts, place, 'look');
    throw explainFailure(done, place, 'cleared');
  }
  return await confirm(parts, place);
}

/** Is aborted some time after the caller's signal. Dispose it. */
function patient({ signal, clock }: LaunchParts): { readonly signal: AbortSignal } & Disposable {
  const late = new AbortController();
  const over = new AbortController();
  const onAbort = () =>
    void clock.sleep(answeredWithinMs, over.signal).then(
      () => late.abort(signal?.reason),
      () => {},
    );
  if (signal?.aborted === true) late.abort(signal.reason);
  else signal?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: late.signal,
    [Symbol.dispose]: () => {
      signal?.removeEventListener('abort', onAbort);
      over.abort();
    },
  };
}

/** What can't be ordered was not ordered. */
function bodyOf(parts: LaunchParts, machine: GceMachine): InstanceBody {
  try {
    return instanceBody({ ...parts, machine, metadata: metadataFor(parts) });
  } catch (error) {
    const { code, message, hints } = toGpuRunError(error);
    throw new GpuRunError(code, message, { hints, leftBehind: 'nothing', cause: error });
  }
}

/** The order was not accepted, or nobody knows. */
async function settleRefused(error: unknown, parts: LaunchParts, place: FailurePlace): Promise<Launched> {
  if (!(error instanceof GceError)) {
    if (parts.signal?.aborted === true) await clear(parts, place, 'certain');
    throw error;
  }
  if (error.reasons.includes('alreadyExists') || error.status === 409) {
    const there = await parts.api.getInstance(place.zone, parts.plan.id, parts.signal);
    if (there !== null && isOfPlan(there, parts.plan)) return launchedAs(there, parts);
    if (there !== null) {
      throw new GpuRunError('conflict', `There is a machine '${parts.plan.id}' in ${place.zone} already, from another request.`, {
        retry: 'elsewhere',
        leftBehind: 'nothing',
      });
    }
  }
  if (!error.outcomeUnknown) throw explainFailure(error, place, 'refused');
  await clear(parts, place, 'certain');
  throw explainFailure(error, place, 'cleared');
}

async function untilDone(ordered: Operation, parts: LaunchParts, place: FailurePlace): Promise<Operation> {
  const { api, clock, signal } = parts;
  const withinMs = orderedWithinMs + queueMs(parts);
  using limit = timeLimit(clock, withinMs);
  try {
    return await api.waitOperation(ordered, signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]));
  } catch (error) {
    await clear(parts, place, 'certain');
    if (signal?.aborted === true) throw signal.reason;
    if (limit.signal.aborted) {
      const text = `Google accepted the order for ${place.type} in ${place.zone} and did not carry it out within ${withinMs / 60_000} minutes.`;
      throw new GpuRunError('no-capacity', text, { retry: 'elsewhere', elsewhere: { rulesOut: 'zone' }, leftBehind: 'nothing' });
    }
    throw error instanceof GceError ? explainFailure(error, place, 'cleared') : error;
  }
}

async function confirm(parts: LaunchParts, place: FailurePlace): Promise<Launched> {
  const { api, plan, signal } = parts;
  const instance = await api.getInstance(place.zone, plan.id, signal);
  if (instance !== null) return launchedAs(instance, parts);
  throw new GpuRunError('lost', `'${plan.id}' vanished from ${place.zone} as soon as it was made.`, { retry: 'elsewhere', elsewhere: { rulesOut: 'zone' } });
}

function launchedAs({ id, creationTimestamp, networkInterfaces }: Instance, { image }: LaunchParts): Launched {
  const network = networkInterfaces?.[0]?.network;
  return { instanceId: id, createdAt: creationTimestamp, image: image.selfLink, network: network === undefined ? null : lastOf(network) };
}

async function clear({ api, plan, clock, onSpent }: LaunchParts, { zone }: FailurePlace, how: 'look' | 'certain'): Promise<void> {
  onSpent();
  await clearOrder({ api, plan, zone, clock }, how);
}

/** Before Google's timer begins, milliseconds at most. */
function queueMs({ plan, options }: LaunchParts): number {
  return isQueued(plan.offer, options) ? queueSeconds * 1000 : 0;
}

function metadataFor(parts: LaunchParts): readonly MetadataItem[] {
  const { plan, options } = parts;
  return [
    ...sshKeysMetadata(options.user, plan.sshPublicKey, plan.deadline + queueMs(parts)),
    { key: 'enable-guest-attributes', value: 'TRUE' },
    { key: 'startup-script', value: startupScript() },
    ...(plan.need.gpu === undefined ? [] : [{ key: 'install-nvidia-driver', value: 'True' }]),
  ];
}
