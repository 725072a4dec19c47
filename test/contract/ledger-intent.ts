import { ownIdentity } from '../../src/core/process-identity.ts';
import type { MachineIntent } from '../../src/ledger/ledger.ts';

/** A complete intent, held by this process. */
export function someIntent(id: string, name: string): MachineIntent {
  return {
    id,
    name,
    provider: 'local',
    owner: 'owner-1',
    labels: { 'gpu-run-name': name },
    requestId: `request-${id}`,
    offer: {
      provider: 'local',
      region: null,
      zone: null,
      type: 'this computer',
      gpu: { name: 'L4', count: 1 },
      spot: false,
      price: { perHour: 0.71, currency: 'USD' },
      asOf: 1,
      source: 'test',
      available: true,
    },
    template: null,
    deadline: 50_000,
    idleSeconds: 900,
    budgetUsd: 3,
    forOneJob: true,
    user: 'me',
    branch: 'main',
    holder: ownIdentity(),
  };
}
