import { expect, test } from 'vitest';
import { envelope, isoTime, jobDocument, machineDocument, offerDocument, planDocument, trainDocument } from '../../../src/cli/render/documents.ts';
import { GpuRunError } from '../../../src/core/errors.ts';
import { jobEntry, machineEntry, noon } from './entries.ts';

test('a machine', () => {
  expect(machineDocument(machineEntry())).toEqual({
    id: 'cats-k3v9xq',
    name: 'cats',
    provider: 'gcp',
    region: 'us-central1',
    zone: 'us-central1-a',
    type: 'g2-standard-4',
    gpu: { name: 'L4', count: 1 },
    spot: true,
    state: 'ready',
    pricePerHour: 0.28,
    currency: 'USD',
    deadline: '2026-11-21T16:00:00.000Z',
    ssh: { host: '203.0.113.9', port: 22, user: 'gpu' },
    hostKey: 'ssh-ed25519 AAAA',
  });
  expect(machineDocument(machineEntry({ access: null }))).toMatchObject({ ssh: null, hostKey: null });
  const own = { kind: 'openssh', host: 'box', port: null, user: null, hostKey: null, configFile: null, identityFile: null } as const;
  expect(machineDocument(machineEntry({ access: own }))).toMatchObject({ ssh: { host: 'box', port: null, user: null }, hostKey: null });
});

test('a job, running and ended', () => {
  expect(jobDocument(jobEntry({ code: 137, signal: 'SIGKILL', reason: 'signal' }))).toEqual({
    id: 'job-20261121-k3v9xq',
    machine: 'cats',
    command: 'python train.py',
    state: 'ended',
    exitCode: 137,
    signal: 'SIGKILL',
    reason: 'signal',
    detail: null,
    attempts: 1,
    createdAt: '2026-11-21T12:00:00.000Z',
    startedAt: '2026-11-21T12:00:00.000Z',
    endedAt: '2026-11-21T12:00:12.000Z',
    gpus: null,
    givenGpus: null,
    waitsFor: null,
    asOf: '2026-11-21T12:00:12.000Z',
  });
  expect(jobDocument(jobEntry(null))).toMatchObject({ state: 'running', exitCode: null, signal: null, reason: null, endedAt: null });
});

test('an offer, and a plan', () => {
  const { offer } = machineEntry();
  const shown = {
    provider: 'gcp',
    region: 'us-central1',
    zone: 'us-central1-a',
    type: 'g2-standard-4',
    gpu: { name: 'L4', count: 1 },
    spot: true,
    pricePerHour: 0.28,
    currency: 'USD',
    asOf: '2026-11-21T12:00:00.000Z',
    source: 'price list',
    available: null,
  };
  expect(offerDocument(offer)).toEqual(shown);
  const plan = { offers: [offer], worstCaseUsd: 1.12, deadline: noon, existing: null };
  expect(planDocument(plan)).toEqual({ dryRun: true, offers: [shown], worstCaseUsd: 1.12, deadline: '2026-11-21T12:00:00.000Z', existing: null });
});

test('a train', () => {
  const result = {
    job: jobEntry({}),
    machine: machineEntry({ state: 'gone' }),
    machineDown: true,
    sync: { files: 3, bytes: 10, sentBytes: 4, ms: 20 },
    outputs: [],
    lastMetrics: { loss: 0.1, epoch: 3 },
    cost: { usd: 0.5, gpuSeconds: 12, items: [{ text: 'gcp g2-standard-4', usd: 0.5 }] },
    leftovers: [],
  };
  expect(trainDocument(result)).toMatchObject({
    job: { id: 'job-20261121-k3v9xq', exitCode: 0 },
    sync: { files: 3, bytes: 10, sentBytes: 4, ms: 20 },
    outputs: [],
    metrics: { last: { loss: 0.1, epoch: 3 }, files: [] },
    cost: { usd: 0.5, gpuSeconds: 12, items: [{ text: 'gcp g2-standard-4', usd: 0.5 }] },
    leftovers: [],
  });
});

test('the envelope of success and of failure', () => {
  expect(envelope('up', { reused: true }, null)).toEqual({ schema: 1, type: 'result', command: 'up', outcome: 'ok', reused: true });
  const cause = new Error('connect ECONNREFUSED', { cause: new Error('the host said no') });
  const error = new GpuRunError('connection', 'No connection.', { hints: ['Try again.'], cause });
  expect(envelope(null, { leftovers: [] }, error)).toEqual({
    schema: 1,
    type: 'result',
    command: null,
    outcome: 'error',
    leftovers: [],
    error: { code: 'connection', message: 'No connection.', hints: ['Try again.'], cause: 'connect ECONNREFUSED: the host said no' },
  });
  expect(envelope('up', {}, new GpuRunError('quota', 'No.'))).toMatchObject({ error: { cause: null, hints: [] } });
});

test('times are ISO 8601 in UTC, and null stays null', () => {
  expect([isoTime(noon), isoTime(null)]).toEqual(['2026-11-21T12:00:00.000Z', null]);
});
