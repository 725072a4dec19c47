/** A machine and a job as the ledger keeps them, to be shown. */
import type { JobEnd, JobEntry } from '../../../src/core/job.ts';
import type { MachineEntry } from '../../../src/ledger/ledger.ts';

export const noon = Date.UTC(2026, 10, 21, 12);

export function machineEntry(changes: Partial<MachineEntry> = {}): MachineEntry {
  const deadline = noon + 4 * 3_600_000;
  return {
    id: 'cats-k3v9xq',
    name: 'cats',
    provider: 'gcp',
    owner: 'ada-abcdef',
    labels: {},
    requestId: 'r',
    offer: {
      provider: 'gcp',
      region: 'us-central1',
      zone: 'us-central1-a',
      type: 'g2-standard-4',
      gpu: { name: 'L4', count: 1 },
      spot: true,
      price: { perHour: 0.28, currency: 'USD' },
      asOf: noon,
      source: 'price list',
      available: null,
    },
    template: null,
    deadline,
    idleSeconds: 900,
    budgetUsd: null,
    forOneJob: false,
    user: 'ada',
    branch: 'main',
    state: 'ready',
    ref: null,
    access: { kind: 'own', host: '203.0.113.9', port: 22, user: 'gpu', hostKeys: ['ssh-ed25519 AAAA'] },
    createdAt: noon - 60_000,
    readyAt: noon,
    endedAt: null,
    endReason: null,
    asOf: noon - 5_000,
    leftovers: [],
    holder: null,
    ...changes,
  };
}

export function jobEntry(end: Partial<JobEnd> | null, changes: Partial<JobEntry> = {}): JobEntry {
  return {
    id: 'job-20261121-k3v9xq',
    machineId: 'cats-k3v9xq',
    machineName: 'cats',
    command: 'python train.py',
    state: end === null ? 'running' : 'ended',
    end: end === null ? null : { code: 0, signal: null, reason: 'exit', detail: null, ...end },
    attempts: 1,
    createdAt: noon,
    startedAt: noon,
    endedAt: end === null ? null : noon + 12_000,
    asOf: noon + 12_000,
    user: 'ada',
    branch: 'main',
    ...changes,
  };
}
