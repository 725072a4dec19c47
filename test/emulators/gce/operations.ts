/** Orders that take time: PENDING, RUNNING, DONE, and what they leave in the log. */
import type { Operation, OperationError } from '../../../src/providers/gcp/gce-resources.ts';
import { ApiError } from './api-error.ts';
import type { Subject } from './faults.ts';
import { numericId, operationName, timestamp } from './ids.ts';
import { linkBase, type OperationRecord, type World } from './world.ts';

export interface Order {
  readonly type: string;
  /** null: global. */
  readonly zone: string | null;
  /** Below the project: `zones/Z/instances/N`. */
  readonly target: string;
  readonly targetId: string;
  readonly requestId?: string | null;
  /** For the faults. */
  readonly subject?: Subject;
  /** What is so when it is done. */
  readonly effect: () => void | Promise<void>;
  /** What undoes the order when it fails. */
  readonly failed?: () => void | Promise<void>;
}

export function startOperation(world: World, order: Order): OperationRecord {
  const { clock, options, faults } = world;
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const record: OperationRecord = {
    ...blank(world, order),
    requestId: order.requestId ?? null,
    user: 'emulated@emulated.iam.gserviceaccount.com',
    done,
  };
  world.operations.push(record);
  const fault = faults.operations.take(order.subject ?? { ...(order.zone === null ? {} : { zone: order.zone }) }, order.type);
  const wholeMs = fault?.kind === 'slow' ? fault.ms : options.operationMs;
  clock.at(clock.now() + wholeMs / 2, () => {
    if (record.status === 'PENDING') record.status = 'RUNNING';
  });
  if (fault?.kind === 'never-ends') return record;
  clock.at(clock.now() + wholeMs, async () => {
    record.status = 'RUNNING';
    if (fault?.kind === 'error') {
      record.errors = fault.errors;
      record.httpStatus = fault.httpStatus;
    }
    await (fault?.kind === 'error' && !fault.keepsTarget ? order.failed?.() : order.effect());
    record.status = 'DONE';
    record.endedAt = clock.now();
    resolve();
  });
  return record;
}

/** Of Google's own doing, done when it is told of: preemption, end of the run time. */
export function logOperation(world: World, order: Omit<Order, 'effect' | 'failed' | 'requestId'>): OperationRecord {
  const record: OperationRecord = { ...blank(world, order), requestId: null, user: 'system', done: Promise.resolve() };
  record.status = 'DONE';
  record.endedAt = world.clock.now();
  world.operations.push(record);
  return record;
}

function blank(world: World, { type, zone, target, targetId }: Pick<Order, 'type' | 'zone' | 'target' | 'targetId'>) {
  return {
    id: numericId(),
    name: operationName(),
    type,
    zone,
    target,
    targetId,
    insertedAt: world.clock.now(),
    status: 'PENDING' as Operation['status'],
    endedAt: null as number | null,
    errors: null as readonly OperationError[] | null,
    httpStatus: null as number | null,
  };
}

export function operationJson(world: World, record: OperationRecord): Operation & Readonly<Record<string, unknown>> {
  const base = linkBase(world);
  const scope = record.zone === null ? 'global' : `zones/${record.zone}`;
  return {
    kind: 'compute#operation',
    id: record.id,
    name: record.name,
    operationType: record.type,
    status: record.status,
    progress: record.status === 'DONE' ? 100 : 0,
    targetLink: `${base}/${record.target}`,
    targetId: record.targetId,
    user: record.user,
    insertTime: timestamp(record.insertedAt),
    startTime: timestamp(record.insertedAt),
    selfLink: `${base}/${scope}/operations/${record.name}`,
    ...(record.zone === null ? {} : { zone: `${base}/zones/${record.zone}` }),
    ...(record.requestId === null ? {} : { clientOperationId: record.requestId }),
    ...(record.endedAt === null ? {} : { endTime: timestamp(record.endedAt) }),
    ...(record.type === 'compute.instances.preempted' ? { statusMessage: 'Instance was preempted.' } : {}),
    ...(record.errors === null || record.status !== 'DONE'
      ? {}
      : { error: { errors: record.errors }, httpErrorStatusCode: record.httpStatus ?? 400, httpErrorMessage: reasonPhrase(record.httpStatus) }),
  };
}

function reasonPhrase(status: number | null): string {
  return ({ 403: 'FORBIDDEN', 404: 'NOT FOUND', 503: 'SERVICE UNAVAILABLE' } as Record<number, string>)[status ?? 0] ?? 'BAD REQUEST';
}

/** Until it is done or the API's own limit has passed. */
export async function waitFor(world: World, record: OperationRecord): Promise<void> {
  if (record.status !== 'DONE') await Promise.race([record.done, world.clock.sleep(world.options.waitMs)]);
}

/** The same request id again is the same order: `place` tells calls apart. */
export function once(world: World, place: string, requestId: string | null, order: () => OperationRecord): OperationRecord {
  if (requestId === null) return order();
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(requestId) || /^[0-]+$/.test(requestId)) {
    throw new ApiError({ status: 400, reason: 'invalid', message: `Invalid value for field 'requestId': '${requestId}'. Must be a valid, non-zero UUID.` });
  }
  const key = `${place} ${requestId.toLowerCase()}`;
  const before = world.requests.get(key);
  if (before !== undefined) return before;
  const record = order();
  world.requests.set(key, record);
  return record;
}
